// The description of the API, for people: what each operation takes, and everything that it may answer, with examples.

const parts = (text) => text.split(/(`[^`]*`)/).map((part) => (part.startsWith("`") ? make("code", part.slice(1, -1)) : part));

function make(name, ...children) {
  const element = document.createElement(name);
  element.append(...children);
  return element;
}

/** A paragraph; what stands between backticks is code. */
const paragraph = (text) => make("p", ...parts(text));

try {
  const response = await fetch("v1/openapi.json");
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  show(await response.json());
} catch (error) {
  const problem = document.getElementById("page-problem");
  problem.textContent = `The description cannot be shown: ${error.message}.`;
  problem.hidden = false;
}

function show(description) {
  const find = (part) => (part?.$ref ? part.$ref.slice(2).split("/").reduce((at, name) => at[name], description) : part);
  const introduction = document.getElementById("introduction");
  introduction.append(...description.info.description.split("\n\n").map(paragraph));
  const [scheme] = Object.values(description.components.securitySchemes);
  introduction.append(make("h2", "Access tokens"), paragraph(scheme.description));

  const all = Object.entries(description.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, ...operation })),
  );
  for (const tag of description.tags) {
    const section = make("section", make("h2", tag.name), paragraph(tag.description));
    section.className = "card prose";
    section.append(...all.filter((operation) => operation.tags.includes(tag.name)).map((operation) => entry(operation, find)));
    document.getElementById("operations").append(section);
  }
}

function entry(operation, find) {
  const summary = make("summary", make("code", `${operation.method.toUpperCase()} ${operation.path}`), ` ${operation.summary}`);
  const details = make("details", summary, paragraph(operation.description));
  details.id = operation.operationId;
  details.open = location.hash === `#${details.id}`;
  const [scope] = operation.security.flatMap((scheme) => Object.values(scheme));
  details.append(paragraph(scope ? `Needs a token with the scope \`${scope}\`.` : "Needs no token."));
  const parameters = (operation.parameters ?? []).map(find);
  if (parameters.length > 0) {
    details.append(make("h3", "Parameters"), list(parameters.map((one) => [one.name, one.required, one.description])));
  }
  const body = operation.requestBody?.content["application/json"];
  if (body) details.append(make("h3", "Body"), fields(body.schema, find), ...examples(body, find));
  for (const [status, answer] of Object.entries(operation.responses)) {
    details.append(make("h3", make("code", status), ` ${answer.description}`));
    for (const content of Object.values(answer.content ?? {})) {
      if (!content.schema.allOf) details.append(fields(content.schema, find));
      details.append(...examples(content, find));
    }
  }
  return details;
}

/** The members of a schema, without those of members. */
function fields(schema, find) {
  const { properties = {}, required = [], oneOf = [] } = find(schema);
  const kinds = oneOf.flatMap((kind) => Object.entries(kind.properties ?? {}));
  const members = [...Object.entries(properties), ...kinds.filter(([, member]) => !("const" in member))];
  return list(members.map(([name, member]) => [name, required.includes(name), member.description ?? find(member).description ?? ""]));
}

function list(rows) {
  const items = rows.flatMap(([name, required, text]) => [
    make("dt", make("code", name), required ? " needed" : ""),
    make("dd", ...parts(text ?? "")),
  ]);
  return make("dl", ...items);
}

function examples(content, find) {
  return Object.entries(content.examples ?? {}).map(([name, example]) => {
    const { summary, value } = find(example);
    const json = make("pre", JSON.stringify(value, null, 2));
    json.tabIndex = 0;
    return make("details", make("summary", summary ?? name.replaceAll("_", " ")), json);
  });
}
