"use strict";
const body = document.querySelector("#theorems tbody"), rows = [...body.rows];
const find = document.querySelector("#find"), kind = document.querySelector("#kind"), shown = document.querySelector("#shown");
function filter() {
  const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const row of rows) {
    const text = row.textContent.toLowerCase();
    row.hidden = !(words.every(word => text.includes(word)) && (!kind.value || row.dataset.kind === kind.value));
    count += !row.hidden;
  }
  shown.textContent = `${count} of ${rows.length}`;
}
find.addEventListener("input", filter);
kind.addEventListener("change", filter);
for (const head of document.querySelectorAll("#theorems th")) {
  head.querySelector("button").addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") !== "ascending", at = head.cellIndex;
    for (const other of document.querySelectorAll("#theorems th")) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const key = row => { const cell = row.cells[at]; return (cell.querySelector("summary") || cell).textContent.trim(); };
    const number = rows.every(row => key(row) === "" || !isNaN(parseFloat(key(row))));
    const order = (a, b) => number ? (parseFloat(key(a)) || 0) - (parseFloat(key(b)) || 0) : key(a).localeCompare(key(b));
    rows.sort((a, b) => up ? order(a, b) : order(b, a));
    body.append(...rows);
  });
}
filter();
