// With Preact, as its documentation teaches.

import { h } from "preact";
import register from "preact-custom-element";
import { useLayoutEffect, useRef, useState } from "preact/hooks";

import { label, lead, place, ready, recheck, sheet, when } from "./common.js";

await ready;

function Bubble({ id }) {
  const known = lead(id);
  const [open, setOpen] = useState(false);
  const [sent, setSent] = useState(null);
  const dot = useRef();
  const popover = useRef();
  const timer = useRef();
  useLayoutEffect(() => { if (open) place(dot.current, popover.current); }, [open]);
  const enter = () => {
    clearTimeout(timer.current);
    setOpen(true);
  };
  const leave = () => {
    clearTimeout(timer.current);
    timer.current = setTimeout(setOpen, 150, false);
  };
  const again = async () => {
    setSent("");
    setSent((await recheck()) ? "Sent" : "Fail");
  };
  const handlers = {
    onpointerenter: enter, onpointerleave: leave, onfocusin: enter, onfocusout: leave,
    onkeydown: ({ key }) => key === "Escape" && setOpen(false),
  };
  return h("span", { class: "w", ...handlers },
    h("button", { ref: dot, type: "button", class: known.blocked ? "dot b" : "dot", part: "dot", "aria-label": label(known), "aria-expanded": open ? "true" : "false" }),
    open && h("div", { ref: popover, class: "pop", popover: "manual", role: "dialog", "aria-label": label(known) },
      h("strong", null, known.blocked ? "Blocked" : "No problem"),
      known.blocked && [
        h("p", null, known.reason), h("p", null, when(known)),
        h("button", { type: "button", disabled: sent != null, onclick: again }, "Check again"),
        h("span", { role: "status" }, sent ?? ""),
      ]));
}
register(Bubble, "lead-peer", ["id"], { shadow: true, adoptedStyleSheets: [sheet] });
