// One analysis: its place in the queue, its steps, its results.

import { ask } from "./api.js";
import { announce, bytes, duration, make, numbers, problem, sentence, warnings } from "./dom.js";
import { draw, forget, loadPlotly } from "./figures.js";

const POLL = 1000;
const MARKS = { waiting: "○", running: "●", done: "✓", failed: "✕", cancelled: "✕" };
const STATES = { draft: "not started", waiting: "waiting", running: "running", done: "finished", failed: "failed", cancelled: "cancelled" };
const OVER = ["done", "failed", "cancelled"];
const FIRST = ["monores", "blocres", "deepres", "locres"];
const WHAT = {
  "report.html": "Report", "view.cxc": "ChimeraX script", "resolution.mrc": "Resolution (Å)", "sharpened.mrc": "Sharpened map",
  "mask.mrc": "Mask that was made", "report.json": "Numbers (JSON)", "fsc.xml": "FSC for EMDB", "fsc.csv": "FSC table",
  "lower.mrc": "Lower limit (Å)", "upper.mrc": "Upper limit (Å)", "best.mrc": "Best map", "comparison.csv": "Table of maps",
};

export const stateBadge = (state) => make("span", { className: "badge", "data-state": state }, STATES[state]);

export function show(main, id) {
  const page = new JobPage(main, id);
  page.poll();
  return () => page.leave();
}

class JobPage {
  constructor(main, id) {
    this.main = main;
    this.id = id;
    this.path = `api/jobs/${id}`;
    this.left = false;
    this.shown = null;
    this.chosen = false;
    this.heading = make("h1", {}, "Analysis");
    this.status = make("p", { className: "lead", role: "status" }, "Loading …");
    this.steps = make("ol", { className: "steps", ariaLabel: "Steps" });
    this.actions = make("div", { className: "actions" });
    this.said = make("div", {});
    this.tabs = make("div", { className: "tabs", role: "tablist", ariaLabel: "Results", hidden: true, onkeydown: (event) => this.arrow(event) });
    this.panel = make("div", { className: "panel", role: "tabpanel", id: "panel", hidden: true, tabIndex: 0 });
    main.replaceChildren(this.heading, this.status, this.said,
      make("section", { className: "card", ariaLabel: "Progress" }, make("h2", {}, "Progress"), this.steps, this.actions), this.tabs, this.panel);
  }

  leave() {
    this.left = true;
    clearTimeout(this.timer);
    forget(this.panel);
  }

  async poll() {
    try {
      this.draw(await ask("GET", this.path));
      this.said.replaceChildren();
    } catch (error) {
      if (this.left) return;
      this.said.replaceChildren(problem(error.message));
      if (error.code === "E_NO_JOB") {
        this.status.textContent = "";
        return;
      }
    }
    if (!this.left && !(this.job && OVER.includes(this.job.state))) this.timer = setTimeout(() => this.poll(), POLL);
  }

  draw(job) {
    const before = this.job;
    this.job = job;
    if (this.left) return;
    document.title = `${job.title}: cryores`;
    this.heading.textContent = job.title;
    this.status.replaceChildren(stateBadge(job.state), " ", this.inWords(job));
    if (before && before.state !== job.state) announce(`The analysis is ${STATES[job.state]}.`);
    this.steps.replaceChildren(...job.steps.map((step) => make("li", { "data-state": step.state },
      make("span", { className: "mark", ariaHidden: "true" }, MARKS[step.state]),
      make("span", {}, step.title, make("span", { className: "unseen" }, `, ${STATES[step.state]}`)),
      make("span", { className: "said" }, step.state === "failed" ? sentence(step.message) : step.state === "running" ? step.line || "starting …" : ""),
      make("span", { className: "time" }, duration(step.seconds)))));
    if (!job.steps.length) this.steps.replaceChildren(make("li", { "data-state": "waiting" }, make("span", { className: "mark" }, "○"), job.state === "running" ? "Starting Scipion …" : "Not begun"));
    this.drawActions(before);
    this.drawTabs();
  }

  inWords(job) {
    if (job.state === "waiting") return job.ahead ? `${job.ahead} ${job.ahead === 1 ? "analysis is" : "analyses are"} before yours. You may close this page; its address stays valid.` : "Next in the queue.";
    if (job.state === "running") return `for ${duration(job.seconds)}. Results appear as they are made; you may close this page, its address stays valid.`;
    if (job.state === "draft") return "Its maps were uploaded, and it was not started.";
    const words = job.seconds ? `after ${duration(job.seconds)}.` : "";
    return job.message ? `${words} ${sentence(job.message)}` : words;
  }

  drawActions(before) {
    const job = this.job;
    const signature = [job.state, job.project, job.mine].join();
    if (before && this.signature === signature) return;
    this.signature = signature;
    const active = ["waiting", "running"].includes(job.state);
    this.actions.replaceChildren(...[
      job.mine && active && make("button", { type: "button", onclick: () => this.change("POST", "/cancel", "Cancel this analysis? What is finished stays.") }, "Cancel"),
      job.project && make("a", { className: "button", href: `${this.path}/project.tar`, download: "" }, "Download the Scipion project"),
      make("button", { type: "button", onclick: (event) => this.copy(event.target) }, "Copy the link"),
      job.mine && make("button", { type: "button", className: "danger", onclick: () => this.change("DELETE", "", "Delete this analysis with all its files?") }, "Delete"),
    ].filter(Boolean));
  }

  async copy(button) {
    try {
      await navigator.clipboard.writeText(location.href);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Copy it from the address bar";
    }
  }

  async change(method, what, question) {
    if (!confirm(question)) return;
    try {
      const answer = await ask(method, this.path + what);
      if (answer.deleted) location.hash = "#/list";
      else this.draw(answer);
    } catch (error) {
      this.said.replaceChildren(problem(error.message));
    }
  }

  // --- results

  drawTabs() {
    const done = this.job.steps.filter((step) => step.has_result);
    if (!done.length) return;
    const names = done.map((step) => step.name).join();
    if (names !== this.names) {
      this.names = names;
      const focused = this.tabs.contains(document.activeElement) && this.shown;
      this.tabs.hidden = this.panel.hidden = false;
      this.tabs.replaceChildren(...done.map((step) => make("button", {
        type: "button", role: "tab", id: `tab-${step.name}`, "aria-controls": "panel",
        onclick: () => { this.chosen = true; this.open(step.name); },
      }, step.title)));
      if (focused) document.getElementById(`tab-${focused}`)?.focus();
      this.mark();
    }
    const first = FIRST.find((name) => done.some((step) => step.name === name));
    // The coloured map is what people wait for: it comes to the front once, unless something was chosen.
    if (!this.shown || (!this.chosen && !FIRST.includes(this.shown) && first)) this.open(first ?? done[0].name);
  }

  mark() {
    for (const tab of this.tabs.children) {
      const selected = tab.id === `tab-${this.shown}`;
      tab.setAttribute("aria-selected", selected);
      tab.tabIndex = selected ? 0 : -1;
    }
    this.panel.setAttribute("aria-labelledby", `tab-${this.shown}`);
  }

  arrow(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const tabs = [...this.tabs.children];
    const next = tabs[(tabs.findIndex((tab) => tab.tabIndex === 0) + step + tabs.length) % tabs.length];
    next.click();
    next.focus();
  }

  async open(name) {
    if (this.shown === name) return;
    this.shown = name;
    this.mark();
    forget(this.panel);
    this.panel.replaceChildren(make("p", { className: "quiet", role: "status" }, "Loading the result …"));
    loadPlotly();
    let result;
    try {
      result = await fetch(`${this.path}/results/${name}`);
      if (!result.ok) throw new Error("This result cannot be loaded");
      result = await result.text();
    } catch (error) {
      this.panel.replaceChildren(problem(error.message));
      return;
    }
    if (this.shown === name && !this.left) await this.fill(name, result);
  }

  async fill(name, text) {
    const result = JSON.parse(text);
    this.panel.replaceChildren(...[
      make("h2", {}, result.title),
      result.numbers.length && numbers(result.numbers),
      make("p", { className: "quiet" }, sentence(result.criterion)),
      warnings("Before you trust this", result.warnings),
    ].filter(Boolean));
    const drawings = result.sections.map((section) => {
      const place = make("div", { className: "drawing" });
      this.panel.append(make("h3", {}, section.heading), make("figure", { role: "group", ariaLabel: section.heading }, section.figure ? place : "", make("figcaption", {}, section.words)));
      return [section, place];
    });
    this.panel.append(make("h3", {}, "Files"), this.files(name, result.files));
    for (const [section, place] of drawings) {
      if (section.figure && this.shown === name && !this.left) await draw(place, section.figure, section.heading);
    }
  }

  files(name, files) {
    const base = `${this.path}/results/${name}`;
    const order = Object.keys(WHAT);
    const listed = Object.keys(files).filter((file) => file in WHAT || file.endsWith(".mrc") || file.endsWith(".csv") || file.endsWith(".star"));
    const rank = (file) => (file in WHAT ? order.indexOf(file) : order.length);
    listed.sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
    const items = listed.map((file) => make("li", {},
      make("a", file === "report.html" ? { href: `${base}/files/${file}`, target: "_blank", rel: "noopener" } : { href: `${base}/files/${encodeURIComponent(file)}`, download: "" }, WHAT[file] ?? file),
      " ", make("small", {}, bytes(files[file]))));
    items.unshift(make("li", {}, make("a", { href: `${base}/all.tar`, download: "" }, "Everything (tar): unpack it and open view.cxc in ChimeraX")));
    return make("ul", { className: "downloads" }, items);
  }
}
