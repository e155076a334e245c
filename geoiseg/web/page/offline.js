/** Keeps the page's own files, so that it works without a network once it was loaded. */

const own = /** @type {any} */ (self);
const files = (async () =>
  (await fetch("files.json", { cache: "no-cache" })).json())();

own.addEventListener("install", (/** @type {any} */ event) => {
  const keep = async () => {
    const { version, names } = await files;
    const cache = await caches.open(`geoiseg-${version}`);
    await cache.addAll(["./", "files.json", ...names]);
    await own.skipWaiting();
  };
  event.waitUntil(keep());
});

own.addEventListener("activate", (/** @type {any} */ event) => {
  const tidy = async () => {
    const names = (await caches.keys()).filter((name) =>
      name.startsWith("geoiseg-"),
    );
    const newest = names.pop();
    await Promise.all(
      names
        .filter((name) => name !== newest)
        .map((name) => caches.delete(name)),
    );
    await own.clients.claim();
  };
  event.waitUntil(tidy());
});

own.addEventListener("fetch", (/** @type {any} */ event) => {
  // Rasters are asked for by their parts, and are no files of the page.
  if (event.request.method !== "GET" || event.request.headers.has("range"))
    return;
  const answer = async () => {
    const kept = await caches.match(event.request, { ignoreSearch: true });
    return kept ?? fetch(event.request);
  };
  event.respondWith(answer());
});
