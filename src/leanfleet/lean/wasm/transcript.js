'use strict';
// Commands as the native REPL takes them: text on an environment, `sorry`s become proof states. No
// rule of the verdict is applied. Only for comparing this Lean with a native one and for showing,
// in tests, what a naive checker would accept.

class Transcript {
  constructor(session) {
    this.session = session;
    this.commandStates = []; // by environment number
  }

  /** {env, messages, sorries: [{state, goals, position}]}; `env` absent: right after the imports. */
  command({ text, env, imports }) {
    const { lean, goals } = this.session, { objects } = lean;
    const start = env === undefined || env === null ? lean.base(imports ?? ['Init']) : this.commandStates[env];
    if (start === undefined) return { unknown: true };
    const sorries = [];
    let before = objects.inc(lean.env(start));
    const result = lean.runText(text, objects.inc(start), {
      afterCommand: now => {
        for (const site of goals.sorries(now, before, undefined)) {
          sorries.push({ state: this.session.keep(site.state, null), goals: site.goals, position: site.position });
        }
        objects.dec(before);
        before = objects.inc(lean.env(now));
      },
    });
    objects.dec(before);
    this.commandStates.push(result.state);
    return { env: this.commandStates.length - 1, messages: result.messages, commands: result.commands, sorries };
  }
}

module.exports = { Transcript };
