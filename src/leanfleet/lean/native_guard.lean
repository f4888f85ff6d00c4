/-
The native driver's look at syntax: `#leanfleet_kinds CATEGORY "TEXT"` parses TEXT with the tokens and
notations of the current environment, executes nothing, and logs one line of JSON:

    {"kinds": [["Lean.Parser.Tactic.exact", "exact h"], …]}     every node, outermost first, with its
                                                               source (see `sourceText`)
    {"error": "<input>:1:6: unexpected end of input"}           TEXT is not of that category

`#leanfleet_spans "TEXT"` parses one theorem and logs where its parts stand, in bytes, or an error:

    {"name": [8, 9], "levels": [0, 0], "binders": [10, 17], "conclusion": [20, 25]}

CATEGORY is a name such as `tactic`, `term` or `command`; the whole of TEXT must be consumed.
The driver compares the kinds with the allow-list (`leanfleet.lean.allowlist`) before it runs a
tactic. Needs an environment with `import Lean`.

NOT RUN by this project's tests: they have no native Lean, and the registry Lean cannot compile new
commands. Its bodies were type-checked only (as noncomputable definitions, Lean 4.28).
-/
namespace LeanFleetGuard
open Lean Elab Command

/-- The kinds whose source decides whether they may run: all of it is given; of others the start. -/
def judgedBySource (kind : Name) : Bool :=
  match kind with
  | .str _ last => last == "set_option" || last == "optConfig" || last == "config"
  | _ => false

def sourceText (stx : Syntax) : String :=
  match stx.getSubstring? (withLeading := false) (withTrailing := false) with
  | some text =>
    if judgedBySource stx.getKind then text.toString else toString (text.toString.take 100)
  | none => ""

/-- All nodes, outermost first. Choice nodes (ambiguous notation) are listed with every branch. -/
partial def collect (stx : Syntax) (found : Array (String × String)) : Array (String × String) :=
  match stx with
  | .node _ kind children =>
    let found := if kind == nullKind then found else found.push (toString kind, sourceText stx)
    children.foldl (fun found child => collect child found) found
  | _ => found

def report (env : Environment) (category : Name) (text : String) : Json :=
  match Parser.runParserCategory env category text with
  | .error message => Json.mkObj [("error", Json.str message)]
  | .ok stx =>
    let kinds := (collect stx #[]).map fun (kind, source) => Json.arr #[Json.str kind, Json.str source]
    Json.mkObj [("kinds", Json.arr kinds)]

/-- First and past-the-end byte, [0, 0] for what is not there. -/
def span (stx : Syntax) : Json :=
  match stx.getPos?, stx.getTailPos? with
  | some first, some last => Json.arr #[toJson first.byteIdx, toJson last.byteIdx]
  | _, _ => Json.arr #[toJson (0 : Nat), toJson (0 : Nat)]

def reportSpans (env : Environment) (text : String) : Json :=
  match Parser.runParserCategory env `command text with
  | .error message => Json.mkObj [("error", Json.str message)]
  | .ok stx =>
    let theorem_ := stx[1] -- after the modifiers: keyword, name with universes, signature, value
    if theorem_.getKind != ``Parser.Command.theorem then
      Json.mkObj [("error", Json.str s!"it is no theorem but {stx.getKind}")]
    else
      let id := theorem_[1]
      let signature := theorem_[2]
      Json.mkObj [("name", span id[0]), ("levels", span id[1]),
        ("binders", span signature[0]), ("conclusion", span signature[1][1])]

elab "#leanfleet_spans " text:str : command => do
  logInfo (reportSpans (← getEnv) text.getString).compress

elab "#leanfleet_kinds " category:ident text:str : command => do
  logInfo (report (← getEnv) category.getId text.getString).compress

end LeanFleetGuard
