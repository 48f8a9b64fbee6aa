// React 19. Read by TypeScript only.

import type {} from "lead-light/react";
import type { LeadLight } from "lead-light";
import { createRef } from "react";

const light = createRef<LeadLight>();

export const row = (
  <lead-light
    key="1"
    ref={light}
    lead="1"
    label="Ann Lee"
    density="compact"
    status={{ lead: "1", status: "active" }}
    onlead-light-change={({ detail }) => console.log(detail.status)}
    onlead-light-check={(event) => event.preventDefault()}
  />
);

// @ts-expect-error An id is text.
export const number = <lead-light lead={1} />;
// @ts-expect-error The detail of an opening has no status.
export const event = <lead-light lead="1" onlead-light-open={({ detail }) => console.log(detail.status)} />;
