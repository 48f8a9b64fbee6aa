import { createApp } from "vue";
import "lead-light/auto";
import "../connect";
import Leads from "./Leads.vue";

createApp(Leads).mount("#root");
