"use strict";
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const head = button.closest("th");
    const body = head.closest("table").tBodies[0];
    const at = [...head.parentNode.children].indexOf(head);
    const ascending = head.getAttribute("aria-sort") !== "ascending";
    for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const value = (row) => {
      let column = 0;
      const cell = [...row.cells].find((each) => (column += each.colSpan) > at);
      const text = cell.dataset.value ?? cell.textContent;
      return text === "" || Number.isNaN(Number(text)) ? text : Number(text);
    };
    const rows = [...body.rows].sort((a, b) => {
      const x = value(a), y = value(b);
      if (x === "" || y === "") return x === y ? 0 : x === "" ? 1 : -1;
      const order = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y));
      return ascending ? order : -order;
    });
    for (const row of rows) row.classList.remove("next-group");
    body.append(...rows);
  });
}
const slider = document.getElementById("threshold");
if (slider) {
  const table = JSON.parse(document.getElementById("data-threshold").textContent);
  const show = () => {
    const at = Number(slider.value);
    const [tp, fp, fn, tn] = ["tp", "fp", "fn", "tn"].map((key) => table[key][at]);
    const share = (part, whole) => (whole ? `${((100 * part) / whole).toFixed(1)}%` : "–");
    const words = {
      at: table.thresholds[at].toFixed(2), precision: share(tp, tp + fp), recall: share(tp, tp + fn),
      flagged: `${(tp + fp).toLocaleString("en")} (${share(tp + fp, tp + fp + fn + tn)})`,
      missed: fn.toLocaleString("en"), alarms: fp.toLocaleString("en"), accuracy: share(tp + tn, tp + fp + fn + tn),
    };
    for (const [key, text] of Object.entries(words)) document.getElementById(`threshold-${key}`).textContent = text;
  };
  slider.addEventListener("input", show);
  show();
}
const examples = document.getElementById("data-examples");
const cells = document.querySelectorAll("rect[data-key]");
if (examples && cells.length) {
  const known = JSON.parse(examples.textContent);
  const figure = cells[0].closest("figure");
  const panel = document.createElement("div");
  panel.className = "examples";
  panel.setAttribute("aria-live", "polite");
  figure.classList.add("live");
  figure.append(panel);
  const element = (kind, text) => Object.assign(document.createElement(kind), { textContent: text });
  const show = (cell) => {
    for (const other of cells) other.classList.toggle("chosen", other === cell);
    const list = element("ul", "");
    list.className = "gallery";
    for (const { url, name, said } of known[cell.dataset.key] ?? []) {
      const item = element("li", "");
      item.title = name;
      item.append(Object.assign(new Image(), { src: url, alt: name }), element("span", said), element("span", name.slice(-40)));
      item.lastChild.className = "soft";
      list.append(item);
    }
    panel.replaceChildren(element("p", cell.querySelector("title").textContent), list);
  };
  let [first, most] = [cells[0], 0];
  for (const cell of cells) {
    const [truth, said] = cell.dataset.key.split(",");
    const shown = truth === said ? 0 : (known[cell.dataset.key] ?? []).length;
    if (shown > most) [first, most] = [cell, shown];
    cell.setAttribute("tabindex", "0");
    cell.setAttribute("role", "button");
    cell.addEventListener("click", () => show(cell));
    cell.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); show(cell); }
    });
  }
  figure.querySelector("figcaption").append(element("p", "Click a cell for pictures of its rows."));
  show(first);
}
