// A new analysis: files, what was found in them, methods.

import { ask, send, session } from "./api.js";
import { announce, bytes, make, numbers, problem, sentence, warnings } from "./dom.js";

const KINDS = [
  ["halves", "Two half maps", "The resolution is measured. Recommended."],
  ["map", "One map", "Its noise has to be guessed, or its look is judged."],
  ["emdb", "EMDB entry", "Fetched by the server, with its half maps."],
];
const FILES = {
  half1: ["Half map 1", "Raw: not masked, sharpened or filtered"],
  half2: ["Half map 2", "Of the same refinement"],
  map: ["Map", "Raw, with the noise around the particle left in"],
  sharpened: ["Your sharpened map (optional)", "To be judged against the half maps"],
  mask: ["Mask (optional)", "1 on the particle; made when there is none"],
  model: ["Atomic model (optional)", "PDB or mmCIF, fitted into the map"],
};
const SHOWN = { halves: ["half1", "half2", "sharpened", "mask", "model"], map: ["map", "mask", "model"], emdb: ["mask", "model"] };
const MAPS = ".mrc,.map,.ccp4,.gz";
const MODELS = ".pdb,.ent,.cif,.mmcif,.gz";
const DRAFT = "cryores-draft";

export async function begin(main) {
  const page = new Begin(main);
  await page.restore();
}

class Begin {
  constructor(main) {
    this.job = null;
    this.kind = "halves";
    this.uploads = 0;
    this.errors = {};
    this.maps = make("section", { className: "card", ariaLabelledby: "maps-heading" });
    this.found = make("section", { className: "card", ariaLabel: "What was found" });
    this.choice = make("section", { className: "card", ariaLabel: "Methods" });
    main.replaceChildren(
      make("h1", {}, "Local resolution of your map"),
      make("p", { className: "lead" }, "Upload half maps or one map, see at once what is wrong with them, run the methods "
        + "that you choose, and turn the map coloured by its resolution."),
      this.maps, this.found, this.choice);
    this.drawMaps();
    this.drawFound();
    this.drawChoice();
  }

  async restore() {
    const id = sessionStorage.getItem(DRAFT);
    if (!id) return;
    try {
      const job = await ask("GET", `api/jobs/${id}`);
      if (job.state !== "draft" || !job.mine) throw new Error("gone");
      this.kind = job.inputs.map && !job.inputs.half1 ? "map" : "halves";
      this.take(job);
      if (!job.examined) await this.examine();
    } catch {
      sessionStorage.removeItem(DRAFT);
    }
  }

  take(job) {
    this.job = job;
    this.drawMaps();
    this.drawFound();
    this.drawChoice();
  }

  async draft() {
    if (!this.job) {
      this.making ??= ask("POST", "api/jobs");
      try {
        this.job = await this.making;
      } finally {
        this.making = null;
      }
      sessionStorage.setItem(DRAFT, this.job.id);
    }
    return this.job.id;
  }

  // --- files

  drawMaps() {
    const kinds = KINDS.map(([kind, title, hint]) => make("label", {},
      make("input", { type: "radio", name: "kind", value: kind, checked: kind === this.kind, onchange: () => this.choose(kind) }),
      make("b", {}, title), make("span", {}, hint)));
    const roles = SHOWN[this.kind];
    this.maps.replaceChildren(
      make("h2", { id: "maps-heading" }, make("span", { className: "number", ariaHidden: "true" }, "1"), "Maps"),
      make("fieldset", {}, make("legend", { className: "unseen" }, "What do you have?"), make("div", { className: "kinds" }, kinds)),
      ...(this.kind === "emdb" ? [this.emdb()] : []),
      make("div", { className: "files" }, roles.map((shown) => this.file(shown))));
  }

  async choose(kind) {
    this.kind = kind;
    const obsolete = ["half1", "half2", "map"].filter((role) => this.job?.inputs[role]);
    this.errors = {};
    this.drawMaps();
    for (const role of obsolete) this.job = await ask("DELETE", `api/jobs/${this.job.id}/inputs/${role}`);
    if (obsolete.length) this.take(this.job);
    this.maps.querySelector(`input[value=${kind}]`).focus();
  }

  file(shown) {
    const role = shown === "sharpened" ? "map" : shown;
    const [title, hint] = FILES[shown];
    const entry = this.job?.inputs[role];
    const error = this.errors[role];
    const state = make("div", { className: "state", id: `state-${role}` });
    const input = make("input", {
      type: "file", id: `file-${role}`, accept: role === "model" ? MODELS : MAPS, "aria-describedby": `hint-${role} state-${role}`,
      onchange: () => input.files[0] && this.upload(role, input.files[0], box, state),
    });
    if (error) state.append(make("span", { role: "alert" }, sentence(error)));
    else if (entry) {
      const size = entry.shape ? `${entry.shape.join(" × ")} voxels${entry.voxel_size[0] ? ` of ${+entry.voxel_size[0].toFixed(4)} Å` : ""}` : bytes(entry.bytes);
      state.append(make("span", { className: "fine" }, "✓ "), `${entry.name}: ${size}`,
        make("button", { type: "button", ariaLabel: `Remove ${title}`, onclick: () => this.remove(role) }, "Remove"));
    }
    const box = make("div", {
      className: `file${entry ? " there" : ""}${error ? " wrong" : ""}`,
      ondragover: (event) => { event.preventDefault(); box.classList.add("over"); },
      ondragleave: () => box.classList.remove("over"),
      ondrop: (event) => {
        event.preventDefault();
        if (event.dataTransfer.files[0]) this.upload(role, event.dataTransfer.files[0], box, state);
      },
    }, make("label", { htmlFor: `file-${role}` }, title), make("span", { className: "hint", id: `hint-${role}` }, hint), input, state);
    return box;
  }

  async upload(role, file, box, state) {
    const { limits } = await session();
    const limit = role === "model" ? limits.model_bytes : limits.map_bytes;
    const bar = make("progress", { max: 1, value: 0, ariaLabel: `Uploading ${file.name}` });
    box.classList.remove("wrong", "over");
    state.replaceChildren(`${file.name}, ${bytes(file.size)}`, bar);
    this.uploads += 1;
    delete this.errors[role];
    let job = null;
    try {
      if (file.size > limit) throw new Error(`the file is larger than the ${bytes(limit)} that this server takes; crop or bin the map`);
      job = await send(`api/jobs/${await this.draft()}/inputs/${role}`, file, (part) => { bar.value = part; });
    } catch (error) {
      this.errors[role] = error.message;
      announce(sentence(error.message));
    }
    this.uploads -= 1;
    if (job) this.job = { ...job, inputs: { ...job.inputs } };
    if (this.uploads) return;
    if (this.job) this.job = await ask("GET", `api/jobs/${this.job.id}`);
    this.drawMaps();
    await this.examine();
  }

  async remove(role) {
    this.take(await ask("DELETE", `api/jobs/${this.job.id}/inputs/${role}`));
    document.getElementById(`file-${role}`)?.focus();
    await this.examine();
  }

  emdb() {
    const number = make("input", { type: "text", id: "emdb", inputMode: "numeric", placeholder: "EMD-3488", autocomplete: "off", maxLength: 16 });
    const state = make("p", { className: "quiet small", role: "status" });
    const button = make("button", { type: "submit" }, "Fetch");
    const fetchIt = async (event) => {
      event.preventDefault();
      button.disabled = true;
      state.className = "quiet small";
      state.textContent = "Asking the archive …";
      const job = await this.draft().catch((error) => { state.textContent = sentence(error.message); });
      const watch = setInterval(async () => {
        const { receiving } = await ask("GET", `api/jobs/${job}`).catch(() => ({}));
        if (receiving) state.textContent = `${bytes(receiving)} have come …`;
      }, 1500);
      try {
        this.take(await ask("POST", `api/jobs/${job}/emdb`, { number: number.value }));
        this.kind = this.job.inputs.half1 ? "halves" : "map";
        this.drawMaps();
        await this.examine();
      } catch (error) {
        state.className = "problem";
        state.textContent = sentence(error.message);
      } finally {
        clearInterval(watch);
        button.disabled = false;
      }
    };
    return make("form", { onsubmit: fetchIt },
      make("div", { className: "row" }, make("div", { className: "field" }, make("label", { htmlFor: "emdb" }, "Number of the entry"), number), button), state);
  }

  // --- diagnosis

  ready() {
    const inputs = this.job?.inputs ?? {};
    return this.kind === "halves" ? inputs.half1 && inputs.half2 : inputs.map && !inputs.half1;
  }

  async examine() {
    if (!this.ready()) {
      this.drawFound();
      this.drawChoice();
      return;
    }
    this.drawFound("looking");
    this.drawChoice();
    const asked = this.job.id;
    try {
      const job = await ask("POST", `api/jobs/${asked}/examine`, { voxel_size: this.voxelSize ?? "" });
      this.take(job);
      announce(this.job.examined?.warnings.length ? "The maps were looked at; there are warnings." : "The maps were looked at.");
    } catch (error) {
      this.drawFound("", error);
      announce(sentence(error.message));
    }
  }

  drawFound(state = "", error = null) {
    const heading = make("h2", {}, make("span", { className: "number", ariaHidden: "true" }, "2"), "Diagnosis");
    const found = this.job?.examined;
    const parts = [heading];
    if (error) {
      parts.push(problem(error.message));
      if (error.code === "E_VOXEL_SIZE") parts.push(this.askVoxelSize());
    } else if (state === "looking") parts.push(make("p", { className: "quiet", role: "status" }, "Looking at the maps …"));
    else if (!found) parts.push(make("p", { className: "quiet" }, "Is this map fit for it? You are told as soon as the maps are here."));
    else {
      const shown = [["Box", `${found.shape.join(" × ")}`], ["Voxel size", `${+found.voxel_size.toFixed(4)} Å`], ["Nyquist", `${found.nyquist.toFixed(2)} Å`]];
      if (found.global_resolution) shown.push([this.job.inputs.mask ? "FSC at 0.143, in the mask" : "FSC at 0.143, no mask", `${found.global_resolution.toFixed(2)} Å`]);
      parts.push(numbers(shown));
      parts.push(warnings("Before you trust a number", found.warnings) ?? make("p", { className: "fine" }, "✓ Nothing suspicious was found."));
    }
    this.found.replaceChildren(...parts.filter(Boolean));
    this.found.inert = !found && !state && !error;
  }

  askVoxelSize() {
    const input = make("input", { type: "number", id: "voxel-now", min: "0.01", max: "100", step: "any", required: true });
    const go = (event) => {
      event.preventDefault();
      this.voxelSize = input.value;
      this.examine();
    };
    return make("form", { className: "row", onsubmit: go },
      make("div", { className: "field" }, make("label", { htmlFor: "voxel-now" }, "Voxel size (Å)"), input), make("button", { type: "submit" }, "Go on"));
  }

  // --- methods

  async drawChoice() {
    const heading = make("h2", {}, make("span", { className: "number", ariaHidden: "true" }, "3"), "Methods");
    const offers = this.job?.examined ? this.job.offers : [];
    this.choice.inert = !offers.length;
    if (!offers.length) {
      this.choice.replaceChildren(heading, make("p", { className: "quiet" }, "What fits your maps is chosen for you; change it as you like."));
      return;
    }
    const boxes = offers.map((offer) => make("label", {},
      make("input", { type: "checkbox", name: "method", value: offer.name, checked: offer.chosen }),
      make("b", {}, offer.title), make("span", {}, offer.about)));
    const { settings, limits } = await session();
    const suggested = this.job.examined.suggested;
    const fields = Object.entries(settings).map(([name, label]) => make("div", { className: "field" },
      make("label", { htmlFor: `set-${name}` }, label),
      make("input", { type: "number", id: `set-${name}`, name, step: "any", min: "0", value: name === "voxel_size" ? this.voxelSize ?? "" : "",
        "aria-describedby": `hint-${name}` }),
      make("span", { className: "hint", id: `hint-${name}` }, `Empty: ${suggested[name]}`)));
    const said = make("div", { role: "alert" });
    const button = make("button", { type: "submit", className: "main" }, "Start the analysis");
    const start = async (event) => {
      event.preventDefault();
      const methods = [...form.querySelectorAll("input[name=method]:checked")].map((input) => input.value);
      const values = Object.fromEntries([...form.querySelectorAll(".settings input")].filter((input) => input.value).map((input) => [input.name, input.value]));
      button.disabled = true;
      try {
        const job = await ask("POST", `api/jobs/${this.job.id}/start`, { methods, settings: values });
        sessionStorage.removeItem(DRAFT);
        location.hash = `#/job/${job.id}`;
      } catch (error) {
        said.replaceChildren(problem(error.message));
        button.disabled = false;
      }
    };
    const form = make("form", { onsubmit: start, noValidate: true },
      make("fieldset", {}, make("legend", { className: "unseen" }, "Methods to run"), make("div", { className: "methods" }, boxes)),
      make("p", { className: "quiet small" }, "Two or more local resolutions are also compared with each other."),
      make("details", {}, make("summary", {}, "Settings"), make("div", { className: "settings" }, fields)),
      said, make("div", { className: "actions" }, button),
      make("p", { className: "quiet small" }, `Deleted after ${limits.keep_days} days, or when you say so.`));
    this.choice.replaceChildren(heading, form);
  }
}
