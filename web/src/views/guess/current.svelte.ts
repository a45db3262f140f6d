/** The conversation that is being played, for the Python line: the shell asks for it without knowing the fish. */

import type { Conversation } from "./game";

export const current = $state<{ conversation: Conversation | undefined }>({ conversation: undefined });
