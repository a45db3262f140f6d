// A service worker: everything comes from the network while there is one, and from the last visit where there is none.
const FILES = [/* files */];
const STORE = "tank";

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(STORE).then((store) => store.addAll(FILES)));
  self.skipWaiting();
});

self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

// The page names the files of its fish once it has read them.
self.addEventListener("message", (event) => {
  event.waitUntil(keep(event.data));
});

async function keep(addresses) {
  const store = await caches.open(STORE);
  for (const address of addresses) if (!(await store.match(address))) await store.add(address);
}

self.addEventListener("fetch", (event) => {
  if (event.request.method !== "GET" || new URL(event.request.url).origin !== self.location.origin) return;
  event.respondWith(
    fetch(event.request)
      .then(async (response) => {
        if (response.ok) (await caches.open(STORE)).put(event.request, response.clone());
        return response;
      })
      .catch(async (error) => {
        const kept = await caches.match(event.request, { ignoreSearch: true });
        if (kept) return kept;
        throw error;
      }),
  );
});
