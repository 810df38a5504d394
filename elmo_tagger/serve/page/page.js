"use strict";
// Foreign text becomes text nodes alone, never markup.

const at = (id) => document.getElementById(id);
const READINGS = 5;
const PAUSE = 500; // ms without a key before a text is tagged
let answer = null; // of the service, with what is derived from it
let running = null; // the request that is on its way
let timer = 0;
let name = "text";
let labels = []; // the types that the model knows

async function ask(path, body, signal) {
  const headers = { "Content-Type": "application/json" };
  if (at("key").value) headers["X-API-Key"] = at("key").value;
  const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body), signal });
  const found = await response.json().catch(() => ({ error: `status ${response.status}` }));
  if (response.status === 401) at("key-row").hidden = false;
  if (!response.ok) throw new Error(found.error);
  return found;
}

async function tag() {
  clearTimeout(timer);
  if (running) running.abort();
  const own = (running = new AbortController());
  const text = at("text").value;
  at("error").hidden = true;
  if (!text.trim()) {
    at("state").textContent = "";
    at("result").hidden = true;
    return;
  }
  at("state").textContent = "…";
  try {
    const found = await ask("predict", { text }, own.signal);
    if (own !== running) return;
    answer = derive(found);
    at("state").textContent = "";
    at("result").hidden = false;
    show();
  } catch (error) {
    if (own !== running) return;
    at("state").textContent = "";
    fail(error);
  }
}

function fail(error) {
  at("error").textContent = error.message;
  at("error").hidden = false;
}

// The service counts characters, a browser counts halves of some of them.
function derive(found) {
  const places = [0];
  for (const character of found.text) places.push(places[places.length - 1] + character.length);
  const entities = found.entities.map((each) => ({ ...each, from: places[each.start], to: places[each.end] }));
  let place = 0;
  const tokens = found.tokens.map((token) => {
    const from = found.text.indexOf(token, place);
    place = from + token.length;
    return { from, to: place };
  });
  const sentences = found.sentences.map(([first, last]) => ({ first, last, from: tokens[first].from, to: tokens[last - 1].to }));
  return { found, entities, sentences };
}

const least = () => Number(at("threshold").value) / 100;
const kept = () => answer.entities.filter((each) => each.confidence >= least());
const percent = (share) => `${Math.floor(share * 100)} %`;

function hue(type) {
  const number = labels.indexOf(type);
  if (number >= 0) return (210 + number * 137.5) % 360;
  let sum = 7;
  for (const character of type) sum = (sum * 31 + character.codePointAt(0)) % 3600;
  return (sum * 137) % 360;
}

function mark(text, type, label, confidence) {
  const element = document.createElement("mark");
  element.style.setProperty("--hue", hue(type));
  element.append(text);
  if (label) {
    const small = document.createElement("small");
    small.textContent = label;
    element.append(small);
  }
  if (confidence !== undefined) {
    element.title = `${type}, probability ${confidence.toFixed(4)}`;
    element.classList.toggle("unsure", confidence < 0.5);
  }
  return element;
}

function show() {
  const entities = kept();
  at("least").textContent = percent(least());
  at("count").textContent = `${entities.length} of ${answer.entities.length} entities`;
  const counts = new Map();
  for (const each of entities) counts.set(each.type, (counts.get(each.type) || 0) + 1);
  at("legend").replaceChildren(
    ...[...counts].sort().map(([type, count]) => {
      const item = document.createElement("li");
      item.append(mark(type, type), ` ${count}`);
      return item;
    }),
  );
  const parts = [];
  let place = 0;
  for (const sentence of answer.sentences) {
    parts.push(answer.found.text.slice(place, sentence.from), sentenceElement(sentence, entities));
    place = sentence.to;
  }
  at("marked").replaceChildren(...parts, answer.found.text.slice(place));
}

function sentenceElement(sentence, entities) {
  const element = document.createElement("span");
  element.className = "sentence";
  element.tabIndex = 0;
  element.setAttribute("role", "button");
  element.setAttribute("aria-expanded", "false");
  let place = sentence.from;
  for (const each of entities) {
    if (each.from < sentence.from || each.to > sentence.to) continue;
    const label = `${each.type} ${percent(each.confidence)}`;
    element.append(answer.found.text.slice(place, each.from));
    element.append(mark(answer.found.text.slice(each.from, each.to), each.type, label, each.confidence));
    place = each.to;
  }
  element.append(answer.found.text.slice(place, sentence.to));
  const toggle = () => readings(element, sentence);
  element.addEventListener("click", () => String(getSelection()) || toggle());
  element.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      toggle();
    }
  });
  return element;
}

async function readings(element, sentence) {
  const next = element.nextElementSibling;
  if (next && next.classList.contains("readings")) {
    next.remove();
    element.setAttribute("aria-expanded", "false");
    return;
  }
  const tokens = answer.found.tokens.slice(sentence.first, sentence.last);
  try {
    const found = await ask("predict", { tokens, top_k: READINGS });
    if (!element.isConnected) return;
    const box = document.createElement("span");
    box.className = "readings";
    box.append(...found.n_best[0].map((each) => reading(tokens, each)));
    element.after(box);
    element.setAttribute("aria-expanded", "true");
  } catch (error) {
    fail(error);
  }
}

// Tags of any scheme begin with a letter for the place in an entity, and a hyphen.
function reading(tokens, tagging) {
  const line = document.createElement("span");
  line.className = "reading";
  const probability = document.createElement("b");
  probability.textContent = `${(100 * tagging.probability).toFixed(2)} %`;
  line.append(probability);
  tokens.forEach((token, number) => {
    const [, type] = tagging.tags[number].match(/^[A-Z]-(.*)$/s) || [null, null];
    line.append(" ", type ? mark(token, type, tagging.tags[number]) : token);
  });
  return line;
}

const WRITERS = {
  json: { ending: "json", kind: "application/json", write: () => JSON.stringify({ ...answer.found, entities: bare() }, null, 2) },
  csv: { ending: "csv", kind: "text/csv", write: table },
  columns: { ending: "conll", kind: "text/plain", write: columns },
};

const bare = () => kept().map(({ from, to, ...each }) => each);

function table() {
  const cell = (value) => (/[",\r\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : value);
  const names = ["type", "text", "start", "end", "confidence"];
  const rows = bare().map((each) => names.map((key) => cell(each[key])).join(","));
  return [names.join(","), ...rows, ""].join("\n");
}

// Tokens of entities that are not shown are outside of any.
function columns() {
  const tags = [...answer.found.tags];
  for (const each of answer.entities) {
    if (each.confidence < least()) tags.fill("O", each.token_start, each.token_end);
  }
  const sentence = ([first, last]) => {
    const rows = answer.found.tokens.slice(first, last).map((token, number) => `${token} ${tags[first + number]}\n`);
    return rows.join("");
  };
  return answer.found.sentences.map(sentence).join("\n");
}

function download(as) {
  const { ending, kind, write } = WRITERS[as];
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([write()], { type: kind }));
  link.download = `${name}.${ending}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

async function open(file) {
  if (!file) return;
  name = file.name.replace(/\.[^.]*$/, "") || "text";
  at("text").value = await file.text();
  tag();
}

at("tag").addEventListener("click", tag);
at("text").addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(tag, PAUSE);
});
at("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) tag();
});
at("key").addEventListener("change", tag);
at("threshold").addEventListener("input", show);
at("open").addEventListener("click", () => at("file").click());
at("file").addEventListener("change", () => open(at("file").files[0]));
for (const button of document.querySelectorAll("[data-as]")) {
  button.addEventListener("click", () => download(button.dataset.as));
}
for (const [kind, over] of [["dragover", true], ["dragleave", false], ["drop", false]]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    at("drop").classList.toggle("over", over);
    if (kind === "drop") open(event.dataTransfer.files[0]);
  });
}
fetch("info")
  .then((response) => (response.ok ? response.json() : {}))
  .then((info) => {
    labels = info.labels || [];
    if (info.model) at("model").textContent = `${info.model}: ${labels.join(", ")}`;
  });
