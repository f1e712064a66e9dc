// The report's own figures, drawn in the page: in its colours, and with what a keyboard and a phone need.

import { make } from "./dom.js";

const CONFIG = { displaylogo: false, responsive: true, plotlyServerURL: "", modeBarButtonsToRemove: ["sendChartToCloud", "sendDataToCloud"] };
const dark = matchMedia("(prefers-color-scheme: dark)");
const narrow = matchMedia("(max-width: 40rem)");
const DARK = { "#1a1a1a": "#e7edf1", "#e5e5e5": "#34414b", "#dddddd": "#34414b", "#f2f2f2": "#1a2229", "#ffffff": "#12181d", "#fff": "#12181d", "#777777": "#a3b1bb", "#000000": "#ffffff" };
let loading = null;

export function loadPlotly() {
  loading ??= new Promise((done, failed) => {
    const script = make("script", { src: "plotly.js", onload: () => done(window.Plotly), onerror: () => failed(new Error("The drawings cannot be loaded")) });
    document.head.append(script);
  });
  return loading;
}

export function forget(panel) {
  if (window.Plotly) panel.querySelectorAll(".js-plotly-plot").forEach((drawing) => window.Plotly.purge(drawing));
}

export async function draw(place, figure, heading) {
  const Plotly = await loadPlotly();
  const { data, layout } = themed(figure);
  const slider = layout.sliders?.[0];
  delete layout.sliders;
  layout.autosize = true;
  const surface = data.some((trace) => trace.type === "mesh3d");
  layout.paper_bgcolor = layout.plot_bgcolor = "rgba(0,0,0,0)";
  if (surface) {
    layout.margin = { l: 0, r: 0, t: 10, b: 10 };
    layout.scene.bgcolor = "rgba(0,0,0,0)";
  } else if (slider) layout.height = Math.max(360, layout.height - 90);
  if (narrow.matches) fit(data, layout, surface);
  place.style.minHeight = `${layout.height}px`;
  await Plotly.newPlot(place, data, layout, CONFIG);
  if (slider) place.after(range(Plotly, place, slider, heading));
  if (surface) turnable(Plotly, place, heading);
}

function themed(figure) {
  if (!dark.matches) return structuredClone(figure);
  return JSON.parse(JSON.stringify(figure), (key, value) => (typeof value === "string" && key !== "bdata" && DARK[value.toLowerCase()]) || value);
}

// A phone has no room beside a drawing: the colour key goes below, and the drawing takes the width.
function fit(data, layout, surface) {
  layout.height = surface ? 430 : Math.min(layout.height, 430);
  layout.font = { ...layout.font, size: 12 };
  layout.margin = { ...layout.margin, l: surface ? 0 : 44, r: 8, b: surface ? 10 : 50 };
  for (const trace of data) {
    if (!trace.colorbar) continue;
    const title = { ...trace.colorbar.title, side: "top" };
    trace.colorbar = { ...trace.colorbar, orientation: "h", len: 0.95, thickness: 12, x: 0.5, xanchor: "center", y: surface ? -0.02 : -0.2, yanchor: "top", title };
  }
  if (data.some((trace) => trace.colorbar)) layout.margin.b = surface ? 70 : 110;
  if (layout.legend || data.length > 1) layout.legend = { ...layout.legend, orientation: "h", y: -0.25 };
}

// plotly's own slider cannot be reached by keyboard.
function range(Plotly, place, slider, heading) {
  const shown = make("output", {}, label(slider, slider.active));
  const input = make("input", {
    type: "range", min: 0, max: slider.steps.length - 1, value: slider.active, ariaLabel: `${heading}: which plane`,
    oninput: () => {
      shown.textContent = label(slider, input.value);
      input.setAttribute("aria-valuetext", shown.textContent);
      Plotly.restyle(place, ...structuredClone(slider.steps[input.value].args));
    },
  });
  input.setAttribute("aria-valuetext", shown.textContent);
  return make("div", { className: "slider" }, input, shown);
}

const label = (slider, index) => `${slider.currentvalue?.prefix ?? ""}${slider.steps[index].label}`;

function turnable(Plotly, place, heading) {
  place.tabIndex = 0;
  place.setAttribute("role", "application");
  place.setAttribute("aria-label", `${heading}: the arrow keys turn it, plus and minus zoom`);
  place.addEventListener("keydown", (event) => {
    const turn = { ArrowLeft: [0.2, 0, 1], ArrowRight: [-0.2, 0, 1], ArrowUp: [0, 0.2, 1], ArrowDown: [0, -0.2, 1], "+": [0, 0, 0.9], "-": [0, 0, 1.1] }[event.key];
    if (!turn) return;
    event.preventDefault();
    const { x, y, z } = place._fullLayout.scene.camera.eye;
    const radius = Math.hypot(x, y, z) * turn[2];
    const around = Math.atan2(y, x) + turn[0];
    const above = Math.max(-1.5, Math.min(1.5, Math.asin(z / Math.hypot(x, y, z)) + turn[1]));
    Plotly.relayout(place, { "scene.camera.eye": { x: radius * Math.cos(above) * Math.cos(around), y: radius * Math.cos(above) * Math.sin(around), z: radius * Math.sin(above) } });
  });
}
