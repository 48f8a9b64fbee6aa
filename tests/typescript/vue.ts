// Vue 3, as its templates see the tag. Read by TypeScript only.

import type {} from "lead-light/vue";
import type { GlobalComponents } from "vue";

type Props = InstanceType<GlobalComponents["lead-light"]>["$props"];

export const row: Props = {
  lead: "1",
  label: "Ann Lee",
  density: "compact",
  status: { lead: "1", status: "active" },
  onLeadLightChange: ({ detail }) => console.log(detail.status),
  onLeadLightCheck: (event) => event.preventDefault(),
};

// @ts-expect-error An id is text.
export const number: Props = { lead: 1 };
