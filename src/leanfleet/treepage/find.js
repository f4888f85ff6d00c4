// Search in the whole graph, opened or not.

let matches = []; // places
let match = -1; // the one shown

function find(query) {
  const found = [];
  const wanted = query.trim().toLowerCase();
  if (!wanted) return found;
  if (/^#\d+$/.test(wanted)) {
    const s = states.findIndex((state) => state.number === Number(wanted.slice(1)));
    return s < 0 ? found : [homeOf(s)];
  }
  const has = (text) => Boolean(text) && text.toLowerCase().includes(wanted);
  const fitting = new Set(hypotheses.flatMap((_, h) => (has(hypothesis(h)) ? [h] : [])));
  const fits = (s) => states[s].goals.some((goal) =>
    has(goal.target) || has(goal.case) || (goal.hypotheses || []).some((h) => fitting.has(h)));
  if (fits(0)) found.push([]);
  states.forEach((_, s) => edges(s).forEach((edge, e) => {
    const to = leads(edge);
    const here = to.length === 1 && isHome(to[0], [s, e, 0]) && fits(to[0]);
    if (here || has(edge.tactic)) found.push([s, e]);
    if (to.length > 1) to.forEach((child, g) => isHome(child, [s, e, g]) && fits(child) && found.push([s, e, g]));
  }));
  return found;
}

function search() {
  tree.querySelectorAll(".hit").forEach((row) => row.classList.remove("hit"));
  matches = find(document.getElementById("query").value);
  match = -1;
  const asked = document.getElementById("query").value.trim() !== "";
  document.getElementById("matches").textContent = asked ? `${matches.length} found` : "";
}

function go(step) {
  if (!matches.length) return;
  match = (match + step + (match < 0 && step < 0 ? 1 : 0) + matches.length) % matches.length;
  const item = reveal(matches[match]);
  choose(item);
  item.row.classList.add("hit");
  document.getElementById("matches").textContent = `${match + 1} of ${matches.length}`;
}
