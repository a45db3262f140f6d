import { mount } from "svelte";

import "./style.css";
import Shell from "./shell/Shell.svelte";

mount(Shell, { target: document.getElementById("tank")! });
