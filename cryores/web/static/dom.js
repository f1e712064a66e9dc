// Making and wording things. Text from the server or a client is only ever set as text, never as HTML.

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && name !== "list" && name !== "for") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const sentence = (text) => text && text[0].toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");

export function problem(text) {
  return make("p", { className: "problem", role: "alert" }, sentence(text));
}

export function numbers(pairs) {
  return make("dl", { className: "numbers" }, pairs.map(([name, text]) =>
    make("div", {}, make("dt", {}, name), make("dd", {}, text))));
}

export function warnings(heading, texts) {
  if (!texts.length) return null;
  return make("div", { className: "warnings", role: "note" },
    make("p", {}, heading), make("ul", {}, texts.map((text) => make("li", {}, sentence(text)))));
}

export function bytes(count) {
  const units = ["B", "kB", "MB", "GB"];
  const power = Math.min(3, count > 0 ? Math.floor(Math.log10(count) / 3) : 0);
  return `${(count / 1000 ** power).toFixed(power > 1 ? 1 : 0)} ${units[power]}`;
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min ${Math.round(seconds % 60)} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function announce(text) {
  document.getElementById("announce").textContent = text;
}
