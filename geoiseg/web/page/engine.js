/** The page's way to its worker: a call is a message, its answer another. */

let number = 0;
/** @type {Map<number, {resolve: (answer: any) => void, reject: (error: Error) => void}>} */
const waiting = new Map();
const worker = new Worker(new URL("worker.js", import.meta.url), {
  type: "module",
});

worker.addEventListener("message", ({ data }) => {
  const asked = waiting.get(data.id);
  waiting.delete(data.id);
  if (data.error !== undefined) asked?.reject(new Error(data.error));
  else asked?.resolve(data.answer);
});
worker.addEventListener("error", (event) => {
  for (const { reject } of waiting.values())
    reject(new Error(event.message || "the page broke"));
  waiting.clear();
});

/**
 * The worker's answer.
 * @template {keyof typeof import("./worker.js").calls} Name
 * @param {Name} call
 * @param {any} [asked]
 * @returns {ReturnType<typeof import("./worker.js").calls[Name]>}
 */
export function ask(call, asked) {
  return /** @type {any} */ (
    new Promise((resolve, reject) => {
      waiting.set(++number, { resolve, reject });
      worker.postMessage({ id: number, call, asked });
    })
  );
}
