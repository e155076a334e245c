// Keeps hold of the page's own connection to its kernel, and sends on it whatever a hostile
// page might: raw text, with no widget library in between.
(() => {
  const utf8 = new TextEncoder();
  const text = new TextDecoder();
  const send = WebSocket.prototype.send;
  let wire = null;

  /** The parts of a message in the kernel protocol v1: offsets, channel, then JSON frames. */
  const unpack = (data) => {
    const view = new DataView(data);
    const at = (n) => Number(view.getBigUint64(8 * (n + 1), true));
    const count = Number(view.getBigUint64(0, true));
    return Array.from({ length: count - 1 }, (_, n) => text.decode(data.slice(at(n), at(n + 1))));
  };
  const pack = (parts) => {
    let end = 8 * (parts.length + 2);
    const ends = [end, ...parts.map((part) => (end += part.length))];
    const whole = new Uint8Array(end);
    const view = new DataView(whole.buffer);
    [ends.length, ...ends].forEach((value, n) => view.setBigUint64(8 * n, BigInt(value), true));
    parts.forEach((part, n) => whole.set(part, ends[n]));
    return whole.buffer;
  };

  WebSocket.prototype.send = function (data) {
    if (this.url.includes("/channels") && data instanceof ArrayBuffer) {
      const [channel, header] = unpack(data);
      if (channel === "shell" && JSON.parse(header).msg_type === "comm_msg") {
        wire = { socket: this, header: JSON.parse(header) };
      }
    }
    return send.call(this, data);
  };

  /** Send `data`, JSON or not, to the comm of a widget; `buffers` are texts. */
  window.tell = (comm, data, buffers = []) => {
    const header = { ...wire.header, msg_id: crypto.randomUUID() };
    const content = `{"comm_id": ${JSON.stringify(comm)}, "data": ${data}}`;
    const frames = ["shell", JSON.stringify(header), "{}", "{}", content, ...buffers];
    send.call(wire.socket, pack(frames.map((frame) => utf8.encode(frame))));
  };
})();
