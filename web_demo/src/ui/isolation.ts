/**
 * WebAssembly may use threads only in a page that is isolated from other origins, which takes two headers. Where the server does not
 * send them, a service worker adds them, and the page loads once more.
 */
const TRIED = "isolation-tried";

/** Resolves once the page is isolated, or cannot be; does not resolve if the page is about to load again. */
export async function isolate(): Promise<void> {
  if (crossOriginIsolated || !("serviceWorker" in navigator) || window.top !== window.self || sessionStorage.getItem(TRIED)) return;
  try {
    await navigator.serviceWorker.register("./service-worker.js");
    await navigator.serviceWorker.ready;
  } catch {
    return; // private windows may refuse it; one thread does it too
  }
  sessionStorage.setItem(TRIED, "yes");
  location.reload();
  await new Promise(() => {});
}
