// The tree as a flat list of rows, one an item. Rows are made when what is above them is opened, never
// before. All text goes in as textContent.

const STEP = 100; // tactics shown by a "more" row
const MOST_ROWS = 3000; // opened by "Open all"
const FIRST_ROWS = 400; // opened when the page is loaded
const MARKS = { proved: "✓", open: "○", dead: "✕", refuted: "!" };
const tree = document.getElementById("tree");
let chosen = null; // the selected item

function make(tag, name, text) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text !== undefined) element.textContent = text;
  return element;
}

function oneLine(text) { return text.replace(/\s+/g, " ").trim(); }

function targets(s) { return states[s].goals.map((goal) => `⊢ ${goal.target || ""}`).join("   "); }

// A value V: exact once proved, else a mean or a guess.
function value(v, exact) {
  if (v === undefined || v === null) return "";
  return (exact ? String(v) : v.toFixed(1)).replace("-", "−");
}

function count(n) { return (n || 0).toLocaleString("en"); }

// What a state has that the state before it had not: a line of a row.
function news(s, before) {
  const was = states[before].goals;
  const known = hypothesesOf(before);
  const lines = [];
  for (const goal of states[s].goals) {
    const target = `⊢ ${goal.target || ""}`;
    const fresh = (goal.hypotheses || []).filter((h) => !known.has(h)).map((h) => hypothesis(h));
    const changed = was.length !== states[s].goals.length || was.every((old) => old.target !== goal.target);
    lines.push((changed || !fresh.length ? [target] : []).concat(fresh.length ? [`with ${fresh.join(", ")}`] : []).join("  "));
  }
  return oneLine(lines.join("   "));
}

function percent(share) {
  const hundredths = 100 * (share || 0);
  return hundredths > 0 && hundredths < 1 ? "<1 %" : `${Math.round(hundredths)} %`;
}

function rowOf(item) {
  const row = make("div", "row");
  row.setAttribute("role", "treeitem");
  row.setAttribute("aria-level", item.level);
  row.setAttribute("aria-selected", "false");
  row.tabIndex = -1;
  row.item = item;
  item.row = row;
  const label = make("span", "label");
  label.style.paddingLeft = `calc(var(--indent) * ${Math.min(item.level - 1, 30)})`;
  row.append(label);
  if (item.kind === "more") {
    const left = edges(item.place[0]).length - item.from;
    label.append(make("span", "caret", ""), make("span", "more", `… ${left} other ${left === 1 ? "tactic" : "tactics"}`));
    return row;
  }
  const status = statusOf(item);
  row.classList.add(status);
  if (onProof(item)) row.classList.add("proof");
  const caret = make("span", "caret", canOpen(item) ? "▸" : "");
  caret.setAttribute("aria-hidden", "true");
  const mark = make("span", `mark ${status}`, MARKS[status]);
  mark.setAttribute("role", "img");
  mark.setAttribute("aria-label", status);
  mark.title = status;
  label.append(caret, mark);
  if (canOpen(item)) row.setAttribute("aria-expanded", "false");
  describe(item, label);
    row.append(...figures(item).map((text) => make("span", "number", text)));
  return row;
}

function describe(item, label) {
  if (item.kind === "root") {
    label.append(make("span", "tactic code", oneLine(targets(0))));
    return;
  }
  const edge = edgeOf(item);
  const to = leads(edge);
  if (item.kind === "tactic") label.append(make("span", "tactic code", oneLine(edge.tactic)));
  if (item.kind === "goal") {
    const named = item.target >= 0 ? states[item.target].goals[0].case : "";
    label.append(make("span", "branch", `goal ${item.place[2] + 1} of ${to.length}${named ? ` · ${named}` : ""}`));
  }
  if (isLink(item)) {
    const link = make("span", "link", `↪ #${states[item.target].number}`);
    link.title = "shown elsewhere: go there";
    label.append(link);
  }
  let text;
  if (item.target === null) text = to.length ? `${to.length} goals, all to be proved` : "nothing left to prove";
  else if (item.target < 0) text = "(left off this page)";
  else text = news(item.target, item.place[0]);
  label.append(make("span", item.target === null ? "preview" : "preview code", text));
}

// Visits, prior, value.
function figures(item) {
  const proved = statusOf(item) === "proved";
  if (item.kind === "root") {
    const root = states[0];
    return [count(root.visits), "", value(root.length ? -root.length : root.value, proved)];
  }
  const edge = edgeOf(item);
  if (item.kind === "tactic") return [count(edge.visits), percent(edge.share), value(edge.value, proved)];
  const branch = edge.branches[item.place[2]];
  return [count(branch.visits), "", value(branch.value, proved)];
}

function refresh(item) {
  if (!canOpen(item)) return;
  item.row.setAttribute("aria-expanded", String(item.open));
  item.row.querySelector(".caret").textContent = item.open ? "▾" : "▸";
}

function open(item) {
  if (item.open || !canOpen(item)) return;
  item.open = true;
  const rows = children(item).map(rowOf);
  item.row.after(...rows);
  refresh(item);
}

function close(item) {
  if (!item.open) return;
  item.open = false;
  refresh(item);
  let row = item.row.nextElementSibling;
  while (row && row.item.level > item.level) {
    const next = row.nextElementSibling;
    if (row.item === chosen) choose(item);
    row.remove();
    row = next;
  }
}

// Replaces a "more" row by the rows that it stands for; returns the first of them.
function showMore(item, atLeast = 0) {
  const to = Math.max(item.from + STEP, atLeast);
  const rows = tactics(item.place[0], item.from, to, item.level).map(rowOf);
  item.row.after(...rows);
  item.row.remove();
  if (chosen === item) choose(rows[0].item);
  return rows[0].item;
}

function toggle(item) {
  if (item.kind === "more") choose(showMore(item), true);
  else if (isLink(item)) choose(reveal(homeOf(item.target)), true);
  else if (item.open) close(item);
  else open(item);
}
