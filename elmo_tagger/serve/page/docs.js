"use strict";

function element(kind, ...content) {
  const made = document.createElement(kind);
  made.append(...content);
  return made;
}

function follow(document_, schema) {
  return schema && schema.$ref ? schema.$ref.slice(2).split("/").reduce((at, key) => at[key], document_) : schema || {};
}

function kindOf(document_, schema) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf) return schema.anyOf.map((each) => kindOf(document_, each)).join(" or ");
  if (schema.enum) return schema.enum.join(", ");
  return schema.type === "array" ? `list of ${kindOf(document_, schema.items || {})}` : schema.type || "anything";
}

function table(document_, schema) {
  const inner = follow(document_, schema.type === "array" ? schema.items : schema);
  const rows = Object.entries(inner.properties || {}).map(([name, each]) =>
    element("tr", element("td", element("code", name)), element("td", kindOf(document_, each)), element("td", each.description || "")),
  );
  return element("table", element("tbody", ...rows));
}

function route(document_, path, method, about) {
  const card = element("section", element("h2", `${method.toUpperCase()} ${path}`), element("p", about.summary || ""));
  card.className = "card";
  const body = about.requestBody && about.requestBody.content["application/json"].schema;
  if (body) {
    const [example] = follow(document_, body.type === "array" ? body.items : body).examples || [{}];
    const sent = JSON.stringify(body.type === "array" ? [example] : example);
    card.append(table(document_, body), element("pre", `curl ${new URL(path.slice(1), location.href.replace(/docs$/, ""))} -d '${sent}'`));
    card.append(element("p", "Answer"), table(document_, about.responses[200].content["application/json"].schema));
  }
  const rows = Object.entries(about.responses).map(([status, each]) =>
    element("tr", element("td", element("code", status)), element("td", each.description)),
  );
  card.append(element("table", element("tbody", ...rows)));
  return card;
}

fetch("openapi.json")
  .then((response) => response.json())
  .then((document_) => {
    document.getElementById("about").textContent = `${document_.info.title} ${document_.info.version}. ${document_.info.summary}`;
    for (const [path, methods] of Object.entries(document_.paths)) {
      for (const [method, about] of Object.entries(methods)) {
        document.getElementById("routes").append(route(document_, path, method, about));
      }
    }
  });
