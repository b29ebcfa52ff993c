// Drawings that were not saved yet, kept in this browser so that a reload loses nothing; gone once saved or discarded.

const KEPT_MS = 12 * 3600 * 1000; // scans are of patients: nothing stays longer than a day's work
const STORE = "drafts";

function opened() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open("skipseg", 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "id" });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

async function within(mode, work) {
  const database = await opened();
  try {
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction(STORE, mode), request = work(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
    });
  } finally {
    database.close();
  }
}

/** Keep a drawing: {id, files, model, wishes, result, image, blank, places}. */
export function keep(draft) {
  return within("readwrite", (store) => store.put({ ...draft, kept: Date.now() }));
}

/** Forget one. */
export function forget(id) {
  return within("readwrite", (store) => store.delete(id));
}

/** All that are kept, the newest first; those that are too old are deleted. */
export async function drafts() {
  const all = await within("readonly", (store) => store.getAll());
  const isOld = (draft) => Date.now() - draft.kept > KEPT_MS;
  await Promise.all(all.filter(isOld).map((draft) => forget(draft.id)));
  return all.filter((draft) => !isOld(draft)).sort((a, b) => b.kept - a.kept);
}
