/** Something is wrong with the model's files; the message says which file, what, and what to do. */
export class ModelError extends Error {
  override readonly name = "ModelError";
}
