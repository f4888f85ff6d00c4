// What the reader does, and the start.

const note = document.getElementById("note");

function say(text) { note.textContent = text; }

function onKey(event) {
  const item = chosen;
  if (event.ctrlKey || event.metaKey || event.altKey || !item) return;
  const row = item.row;
  const moves = {
    ArrowDown: () => row.nextElementSibling,
    ArrowUp: () => row.previousElementSibling,
    Home: () => tree.firstElementChild,
    End: () => tree.lastElementChild,
  };
  if (event.key in moves) {
    const to = moves[event.key]();
    if (to) choose(to.item, true);
  } else if (event.key === "ArrowRight") {
    if (canOpen(item) && !item.open) open(item);
    else if (item.open) choose(row.nextElementSibling.item, true);
  } else if (event.key === "ArrowLeft") {
    if (item.open) close(item);
    else {
      let up = row.previousElementSibling;
      while (up && up.item.level >= item.level) up = up.previousElementSibling;
      if (up) choose(up.item, true);
    }
  } else if (event.key === "Enter" || event.key === " ") toggle(item);
  else return;
  event.preventDefault();
}

function onClick(event) {
  const row = event.target.closest(".row");
  if (!row) return;
  const item = row.item;
  const follow = event.target.closest(".caret, .link, .more");
  choose(item, true);
  if (follow) toggle(item);
}

function onDoubleClick(event) {
  const row = event.target.closest(".row");
  if (row && !event.target.closest(".caret, .link, .more")) toggle(row.item);
}

function start() {
  tree.append(rowOf(ROOT));
  tree.addEventListener("keydown", onKey);
  tree.addEventListener("click", onClick);
  tree.addEventListener("dblclick", onDoubleClick);
  document.getElementById("open-all").addEventListener("click", () => openAll(MOST_ROWS));
  document.getElementById("close-all").addEventListener("click", () => { say(""); closeAll(); });
  document.getElementById("show-line").textContent = hasProof ? "Proof" : "Most visited";
  document.getElementById("show-line").addEventListener("click", () => { say(""); openLine(); });
  document.getElementById("query").addEventListener("input", search);
  document.getElementById("search").addEventListener("submit", (event) => { event.preventDefault(); go(1); });
  document.getElementById("previous").addEventListener("click", () => go(-1));
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && event.target.tagName !== "INPUT") {
      event.preventDefault();
      document.getElementById("query").focus();
    }
  });
  document.getElementById("graph").hidden = false;
  if (data.left_off) say(`${data.left_off.toLocaleString("en")} more states had no room on this page: the least visited ones.`);
  openLine();
}

if (data) start();
