// What each example does once: it says where the API is, and how to get a token for the widget from the host's own back end.

import { configure } from "lead-light";

configure({
  endpoint: location.origin,
  getToken: async () => {
    const response = await fetch("/crm/token", { method: "POST" });
    const { token } = await response.json();
    return token;
  },
});
