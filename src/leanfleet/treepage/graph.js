// The graph of the page: the JSON in #data (the structs of rows.py), and items, which are places in it.
//
// An item is the root (place []), a tactic ([state, edge]), one of several goals that a tactic left
// ([state, edge, goal]), or "more": tactics that are not shown yet. A state is opened at its home
// place only; every other item that leads to it is a link. Knows no rows.

const SOME = 12; // tactics of a state that are shown at first; those of the proof on the way of one
const data = JSON.parse(document.getElementById("data").textContent);
const states = data ? data.states : [];
const hypotheses = (data && data.hypotheses) || []; // [name, type, value]
const hasProof = states.length > 0 && Boolean(states[0].proof);
const ROOT = { kind: "root", place: [], level: 1, target: 0, open: false };

// Of each state, the places that lead to it, as [state, edge, goal].
const parents = states.map(() => []);
states.forEach((state, s) => edges(s).forEach((edge, e) =>
  leads(edge).forEach((child, g) => child >= 0 && parents[child].push([s, e, g]))));

function leads(edge) { return edge.leads || []; }

function edges(s) { return states[s].edges || []; }

function same(a, b) { return a.length === b.length && a.every((x, i) => x === b[i]); }

function isHome(s, place) { return s >= 0 && same(states[s].home || [], place); }

// An item: {kind, place, level, target, open}. `target`: the row of the state it stands for.
function tacticItem(s, e, level) {
  const to = leads(edges(s)[e]);
  const target = to.length === 1 ? to[0] : null;
  return { kind: "tactic", place: [s, e], level, target, open: false };
}

function goalItem(s, e, g, level) {
  return { kind: "goal", place: [s, e, g], level, target: leads(edges(s)[e])[g], open: false };
}

function edgeOf(item) { return item.kind === "root" ? null : edges(item.place[0])[item.place[1]]; }

// Whether what the item leads to is shown right here.
function owns(item) {
  if (item.target === null || item.kind === "root") return true;
  const [s, e, g] = item.place;
  return isHome(item.target, [s, e, g || 0]);
}

function isLink(item) { return item.kind !== "more" && item.target >= 0 && !owns(item); }

function children(item) {
  const level = item.level + 1;
  if (item.kind === "more") return [];
  if (item.target === null) {
    const [s, e] = item.place;
    return leads(edges(s)[e]).map((_, g) => goalItem(s, e, g, level));
  }
  if (item.target < 0 || !owns(item)) return [];
  const onProof = edges(item.target).filter((edge) => edge.proof).length;
  return tactics(item.target, 0, onProof || SOME, level);
}

function tactics(s, from, to, level) {
  const all = edges(s);
  const items = [];
  for (let e = from; e < Math.min(to, all.length); e++) items.push(tacticItem(s, e, level));
  if (to < all.length) items.push({ kind: "more", place: [s], from: to, level, target: null, open: false });
  return items;
}

function canOpen(item) {
  if (item.kind === "more") return false;
  if (item.target === null) return leads(edgeOf(item)).length > 0;
  return item.target >= 0 && owns(item) && edges(item.target).length > 0;
}

function statusOf(item) {
  if (item.kind === "root") return states[0].status;
  if (item.kind === "goal") return item.target >= 0 ? states[item.target].status : "open";
  return edgeOf(item).status;
}

function onProof(item) {
  return item.kind === "root" ? hasProof : item.kind !== "more" && Boolean(edgeOf(item).proof);
}

function hypothesesOf(s) { return new Set(states[s].goals.flatMap((goal) => goal.hypotheses || [])); }

function hypothesis(h) {
  const [name, type, body] = hypotheses[h];
  return `${name} : ${type}${body ? ` := ${body}` : ""}`;
}
