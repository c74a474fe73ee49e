// A service worker: what the network gives, and without a network what it gave the last time. Its headers let
// WebAssembly have threads, where a server that hosts plain files sends none.

const CACHE = "keras-gen";

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (event) => {
  const { method, url } = event.request;
  if (method === "GET" && url.startsWith(self.location.origin)) event.respondWith(answer(event.request));
});

async function answer(request) {
  const cache = await caches.open(CACHE);
  try {
    const response = await fetch(request);
    if (request.mode === "navigate" && !(await isOurs(response.clone()))) {
      // Another page has taken this address, as happens on localhost.
      await self.registration.unregister();
      return response;
    }
    if (response.ok) await cache.put(request, response.clone());
    return isolated(response);
  } catch (error) {
    const kept = await cache.match(request);
    if (kept) return isolated(kept);
    throw error;
  }
}

async function isOurs(response) {
  return (await response.text()).includes('name="generator" content="keras-gen"');
}

function isolated(response) {
  const { body, status, statusText } = response;
  const headers = new Headers(response.headers);
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  return new Response(body, { status, statusText, headers });
}
