// Bundles the examples of the package for the demo: node examples.mjs <their folder> <where to>. The widget is not bundled: the
// pages load it from where the demo serves it.

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [, , from, to] = process.argv;
// The packages are beside the folder that this runs in, not beside this file.
const require = createRequire(pathToFileURL(join(process.cwd(), "package.json")));
const esbuild = require("esbuild");
const { compileScript, parse } = require("vue/compiler-sfc");

/** Where the demo serves the widget. */
const widget = {
  name: "widget",
  setup: (build) => build.onResolve({ filter: /^lead-light(\/auto)?$/ }, ({ path }) => ({
    path: path === "lead-light" ? "/widget/lead-light.js" : "/widget/auto.js",
    external: true,
  })),
};

/** Vue's single-file components. The tag is not a component of Vue: hosts say the same to their own build. */
const vue = {
  name: "vue",
  setup: (build) => build.onLoad({ filter: /\.vue$/ }, async ({ path }) => {
    const { descriptor, errors } = parse(await readFile(path, "utf8"), { filename: path });
    if (errors.length) return { errors: errors.map(({ message }) => ({ text: message })) };
    const { content } = compileScript(descriptor, {
      id: path,
      inlineTemplate: true,
      templateOptions: { compilerOptions: { isCustomElement: (tag) => tag === "lead-light" } },
    });
    return { contents: content, loader: "ts" };
  }),
};

await esbuild.build({
  entryPoints: ["plain/plain.ts", "react/app.tsx", "vue/app.ts"].map((path) => join(from, path)),
  outbase: from,
  outdir: to,
  bundle: true,
  format: "esm",
  minify: true,
  target: "es2022",
  jsx: "automatic",
  nodePaths: [join(process.cwd(), "node_modules")],
  define: {
    "process.env.NODE_ENV": '"production"',
    __VUE_OPTIONS_API__: "false",
    __VUE_PROD_DEVTOOLS__: "false",
    __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: "false",
  },
  plugins: [widget, vue],
});
