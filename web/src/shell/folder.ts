/** Files of a folder that was chosen or dropped, by their paths inside it. */

export interface Folder {
  readonly name: string;
  readonly files: Record<string, File>;
}

/** What <input webkitdirectory> gives: paths that begin with the folder's own name. */
export function chosen(list: FileList): Folder | null {
  const files: Record<string, File> = {};
  let name = "";
  for (const file of list) {
    const [first = "", ...rest] = (file.webkitRelativePath || file.name).split("/");
    name = first;
    files[rest.length ? rest.join("/") : first] = file;
  }
  return list.length ? { name, files } : null;
}

/** What was dropped: a folder, or loose files. To be called at once: the list is emptied after the event. */
export function dropped(transfer: DataTransfer): Promise<Folder | null> {
  const entries = Array.from(transfer.items, (item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  const loose = Array.from(transfer.files);
  return gathered(entries, loose);
}

async function gathered(entries: readonly FileSystemEntry[], loose: readonly File[]): Promise<Folder | null> {
  const files: Record<string, File> = {};
  const [first] = entries;
  if (first?.isDirectory && entries.length === 1) {
    await walk(first as FileSystemDirectoryEntry, "", files);
    return Object.keys(files).length ? { name: first.name, files } : null;
  }
  for (const file of loose) files[file.name] = file;
  return loose.length ? { name: loose.length === 1 ? loose[0]!.name : `${loose.length} files`, files } : null;
}

const MOST_FILES = 200; // a folder of ours has about a dozen: whoever drops a whole disk should not wait

async function walk(folder: FileSystemDirectoryEntry, path: string, files: Record<string, File>): Promise<void> {
  const reader = folder.createReader();
  for (;;) {
    const entries = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (!entries.length) return; // it gives them in parts, and nothing at the end
    for (const entry of entries) {
      if (Object.keys(files).length >= MOST_FILES) return;
      if (entry.isDirectory) await walk(entry as FileSystemDirectoryEntry, `${path}${entry.name}/`, files);
      else {
        const file = entry as FileSystemFileEntry;
        files[path + entry.name] = await new Promise<File>((resolve, reject) => file.file(resolve, reject));
      }
    }
  }
}
