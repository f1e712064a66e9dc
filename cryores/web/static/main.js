// Which page is shown: #/ a new analysis, #/list this browser's analyses, #/job/ID one of them.

import { ask, session } from "./api.js";
import { begin } from "./begin.js";
import { make, problem } from "./dom.js";
import { show, stateBadge } from "./job.js";

const main = document.getElementById("main");
let leave = () => {};

async function list() {
  main.replaceChildren(make("h1", {}, "My analyses"), make("p", { className: "lead" }, "Those that were started in this browser."));
  const jobs = await ask("GET", "api/jobs");
  if (!jobs.length) {
    main.append(make("p", {}, "There is none yet. ", make("a", { href: "#/" }, "Start one")));
    return;
  }
  main.append(make("table", {},
    make("thead", {}, make("tr", {}, ["Maps", "Begun", "State"].map((name) => make("th", { scope: "col" }, name)))),
    make("tbody", {}, jobs.map((job) => make("tr", {},
      make("td", {}, job.state === "draft" ? `${job.title} (upload)` : make("a", { href: `#/job/${job.id}` }, job.title)),
      make("td", {}, new Date(job.created * 1000).toLocaleString()), make("td", {}, stateBadge(job.state)))))));
}

async function route() {
  leave();
  leave = () => {};
  const [, page, id] = location.hash.split("/");
  document.title = "cryores: local resolution of cryo-EM maps";
  document.getElementById("nav-new").toggleAttribute("aria-current", !page);
  document.getElementById("nav-list").toggleAttribute("aria-current", page === "list");
  try {
    if (page === "job" && id) leave = show(main, encodeURIComponent(id));
    else if (page === "list") await list();
    else await begin(main);
  } catch (error) {
    main.append(problem(error.message));
  }
}

window.addEventListener("hashchange", async () => {
  await route();
  main.focus();
  scrollTo(0, 0);
});

session().then(({ version }) => {
  document.getElementById("about").append(` cryores ${version}.`);
  return route();
}, (error) => main.append(problem(error.message)));
