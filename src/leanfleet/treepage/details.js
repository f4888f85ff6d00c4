// What there is to say of the chosen row.

const details = document.getElementById("details");

function pairs(entries) {
  const list = make("dl", "pairs");
  for (const [name, value] of entries) {
    if (value === "" || value === undefined || value === null) continue;
    list.append(make("dt", "", name), make("dd", "", String(value)));
  }
  return list;
}

function explain(item) {
  details.replaceChildren();
  details.scrollTop = 0;
  if (item.kind === "more") {
    details.append(make("p", "note", "Enter shows these tactics."));
    return;
  }
  const edge = edgeOf(item);
  if (edge) explainTactic(item, edge);
  const to = item.target === null ? leads(edge) : [item.target];
  if (!to.length) details.append(make("p", "", "Nothing is left to prove after this tactic."));
  to.forEach((s, g) => explainState(s, item, to.length > 1 ? g : -1));
}

function explainTactic(item, edge) {
  details.append(make("h3", "", "Tactic"), make("pre", "", edge.tactic));
  details.append(pairs([
    ["status", edge.status + (edge.proof ? ", on the proof" : "")],
    ["visits", count(edge.visits)],
    ["prior", `${percent(edge.share)} of its state's (policy: ${(edge.prior || 0).toPrecision(3)})`],
    ["value V(s,a)", edge.value === undefined ? "not visited" : value(edge.value, edge.status === "proved")],
    ["cost in Lean", `${count(edge.heartbeats)} heartbeats, ${(1000 * (edge.seconds || 0)).toPrecision(2)} ms`],
  ]));
  if (edge.others) folded(`${edge.others.length} merged into it (they reach the same)`, edge.others);
}

function explainState(s, item, g) {
  if (s < 0) {
    details.append(make("p", "note", "A state that was left off this page."));
    return;
  }
  const state = states[s];
  const several = g >= 0 ? `, goal ${g + 1} of ${leads(edgeOf(item)).length}` : "";
  const head = item.kind === "root" ? "The statement, state" : "Then, state";
  details.append(make("h3", "", `${head} #${state.number}${several}`));
  const known = item.place.length ? hypothesesOf(item.place[0]) : null;
  state.goals.forEach((goal) => details.append(goalBox(goal, known)));
  details.append(pairs([
    ["status", state.status + (state.length ? `, ${state.length} ${state.length === 1 ? "tactic" : "tactics"} on the longest branch` : "")],
    ["depth", `${state.depth || 0} tactics from the statement`],
    ["visits", count(state.visits)],
    ["value V(s)", state.value === undefined ? "not asked" : `${value(state.value)}, the policy's word`],
    ["tactics", `${edges(s).length} kept, policy asked ${state.expansions || 0} ×${state.exhausted ? ", it knows no more" : ""}`],
  ]));
  const places = parents[s];
  if (places.length > 1) {
    details.append(make("p", "note", `Reached by ${places.length} ways:`));
    const list = make("ul", "plain");
    for (const [ps, pe, pg] of places.slice(0, 30)) {
      const entry = make("li", "");
      const way = make("button", "code", `#${states[ps].number} ${oneLine(edges(ps)[pe].tactic).slice(0, 80)}`);
      way.type = "button";
      const place = leads(edges(ps)[pe]).length > 1 ? [ps, pe, pg] : [ps, pe];
      way.addEventListener("click", () => choose(reveal(place), true));
      entry.append(way);
      list.append(entry);
    }
    details.append(list);
  }
  if (state.useless_count) {
    const shown = state.useless.length < state.useless_count ? `, ${state.useless.length} of them here` : "";
    folded(`${state.useless_count} tried in vain (refused, or back to the same state)${shown}`, state.useless);
  }
}

function goalBox(goal, known) {
  const box = make("div", "goal code");
  if (goal.case) box.append(make("div", "case", `case ${goal.case}`));
  let last = null; // neighbours of one type share a line, as in Lean
  for (const h of goal.hypotheses || []) {
    const [name, type, body] = hypotheses[h];
    const fresh = known !== null && !known.has(h);
    if (last && !body && !last.body && last.type === type && last.fresh === fresh) {
      last.names.textContent += ` ${name}`;
      continue;
    }
    const line = make("div", fresh ? "new" : "");
    if (fresh) line.title = "new here";
    const names = make("span", "names", name);
    line.append(names, ` : ${type}${body ? ` := ${body}` : ""}`);
    box.append(line);
    last = { names, type, body, fresh };
  }
  box.append(make("div", "target", `⊢ ${goal.target || ""}`));
  return box;
}

function folded(title, texts) {
  const box = make("details", "");
  box.append(make("summary", "note", title));
  const list = make("ul", "plain");
  for (const text of texts) {
    const entry = make("li", "");
    entry.append(make("code", "", text));
    list.append(entry);
  }
  box.append(list);
  details.append(box);
}
