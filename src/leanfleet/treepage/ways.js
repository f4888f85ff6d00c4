// Ways through the tree: to a place, along the proof, everything.

// The place where a state is at home: [] for the root, [s, e] or [s, e, g].
function homeOf(s) {
  const home = states[s].home || [];
  if (!home.length) return [];
  return leads(edges(home[0])[home[1]]).length > 1 ? home : home.slice(0, 2);
}

function above(place) {
  if (place.length === 3) return place.slice(0, 2);
  return homeOf(place[0]);
}

// Opens whatever is above a place; returns its item.
function reveal(place) {
  const chain = [place];
  while (chain[0].length) chain.unshift(above(chain[0]));
  let item = ROOT;
  for (const next of chain.slice(1)) {
    open(item);
    item = below(item, next);
  }
  return item;
}

function below(item, place) {
  for (let row = item.row.nextElementSibling; row; row = row.nextElementSibling) {
    if (row.item.level !== item.level + 1) continue;
    if (row.item.kind === "more") row = showMore(row.item, place[1] + 1).row;
    if (same(row.item.place, place)) return row.item;
  }
  throw new Error(`no row for ${place}`);
}

function closeAll() {
  close(ROOT);
  choose(ROOT);
}

function openAll(most) {
  let row = tree.firstElementChild;
  let left = most - tree.childElementCount;
  while (row && left > 0) {
    const item = row.item;
    if (item.kind === "more") {
      row = showMore(item).row;
      continue;
    }
    if (!item.open) {
      left -= children(item).length;
      open(item);
    }
    row = row.nextElementSibling;
  }
  say(row ? `The first ${tree.childElementCount.toLocaleString("en")} rows are open; the rest opens on demand.` : "");
}

// The proof, or without one the most visited tactics one after another.
function openLine() {
  closeAll();
  if (hasProof) {
    const work = [ROOT];
    while (work.length && tree.childElementCount < FIRST_ROWS) {
      const item = work.shift();
      open(item);
      for (let row = item.row.nextElementSibling; row && row.item.level > item.level; row = row.nextElementSibling)
        if (row.item.level === item.level + 1 && onProof(row.item) && canOpen(row.item)) work.push(row.item);
    }
  } else {
    let item = ROOT;
    while (item && canOpen(item) && tree.childElementCount < FIRST_ROWS) {
      open(item);
      let best = null;
      for (const child of children(item)) {
        if (child.kind === "more" || !canOpen(child)) continue;
        if (best === null || visitsOf(child) > visitsOf(best)) best = child;
      }
      item = best && visitsOf(best) ? below(item, best.place) : null;
    }
  }
  choose(ROOT);
}

function visitsOf(item) {
  const edge = edgeOf(item);
  return (item.kind === "goal" ? edge.branches[item.place[2]].visits : edge.visits) || 0;
}

function choose(item, focus = false) {
  if (chosen && chosen.row) {
    chosen.row.setAttribute("aria-selected", "false");
    chosen.row.tabIndex = -1;
  }
  chosen = item;
  item.row.setAttribute("aria-selected", "true");
  item.row.tabIndex = 0;
  item.row.scrollIntoView({ block: "nearest" });
  if (focus) item.row.focus({ preventScroll: true });
  explain(item);
}
