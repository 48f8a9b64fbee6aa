// Defines <lead-light>. Everything else is in "lead-light".
export * from "./lead-light.js";
