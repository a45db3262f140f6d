/** What can be wrong with a model, and what to do about it. */

const again = "Export it again: guppylm export RUN --to onnx --out DIR.";

export const trouble = {
  missing: (file: string) => `${file} is missing. ${again}`,
  unreached: (file: string) => `${file} could not be fetched: the network, or the host of this page, is gone.`,
  noManifest:
    "There is no manifest.json in it, so this is not a folder that guppylm exported. Choose the folder that `guppylm export RUN --to onnx --out DIR` wrote.",
  noModel: "There is no model beside this page. Drop an exported folder in, or serve the page with `guppylm tank`.",
  notJson: (file: string, what: string) => `${file} can't be read as JSON (${what}). ${again}`,
  field: (path: string, found: string, wanted: string) =>
    `manifest.json: ${path} is ${found}; it should be ${wanted}. ${again}`,
  newer: (found: number, known: number) =>
    `manifest.json: format ${found} is not known to this page, which reads format ${known}. Use the page of the same guppylm that exported it.`,
  size: (file: string, found: number, wanted: number) =>
    `${file} has ${found.toLocaleString("en")} bytes; manifest.json says ${wanted.toLocaleString("en")}. It was not copied completely, or belongs to another export. ${again}`,
  hash: (file: string) =>
    `${file} is not what was exported (its checksum differs). Copy the folder again, or export it again.`,
  unlisted: (file: string) => `manifest.json: ${file} is not in its list of files. ${again}`,
  graph: (file: string, what: string) => `${file} can't be run (${what}). ${again}`,
  tokenizer: (what: string) => `tokenizer.json does not fit this model: ${what}. ${again}`,
  outside: (tensor: string, file: string) => `manifest.json: the tensor ${tensor} lies outside ${file}. ${again}`,
  noActivation: (name: string) => `there is no activation ${name} in glass.onnx`,
  noWeight: (name: string) => `there is no weight ${name}`,
  noCheckpoint: (step: number) => `this fish has no checkpoint of step ${step}`,
  tooLong: (found: number, most: number) => `${found} tokens do not fit the context of ${most}`,
  nothing: "there is nothing to read",
  runtime: (what: string) =>
    `The runtime that computes the model did not start (${what}). A browser with WebAssembly SIMD is needed: any of the last four years.`,
};
