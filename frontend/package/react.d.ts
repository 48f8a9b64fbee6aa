// The tag in the JSX of React 19: `import type {} from "lead-light/react"` once.
import type { Key, Ref } from "react";
import type { LeadLight, LeadLightAttributes, LeadLightEventMap, LeadStatus } from "./lead-light.js";

type Listeners = {
  [Name in keyof LeadLightEventMap as `on${Name}`]?: (event: LeadLightEventMap[Name]) => void;
};

export interface LeadLightProps extends LeadLightAttributes, Listeners {
  status?: LeadStatus | null;
  key?: Key | null;
  ref?: Ref<LeadLight>;
  id?: string;
  slot?: string;
  className?: string;
  hidden?: boolean;
  lang?: string;
  dir?: "ltr" | "rtl" | "auto";
}

declare module "react" {
  namespace JSX {
    interface IntrinsicElements {
      "lead-light": LeadLightProps;
    }
  }
}
