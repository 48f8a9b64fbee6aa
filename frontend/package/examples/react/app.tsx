import { useState } from "react";
import { createRoot } from "react-dom/client";
import "lead-light/auto";
import type {} from "lead-light/react";
import "../connect";

const LEADS = [
  { id: "ann-lee", name: "Ann Lee" },
  { id: "carla-mendes", name: "Carla Mendes" },
  { id: "elif-kaya", name: "Elif Kaya" },
];

function Leads() {
  const [news, setNews] = useState("");
  return (
    <>
      <table>
        <tbody>
          {LEADS.map(({ id, name }) => (
            <tr key={id}>
              <th scope="row">{name}</th>
              <td>
                <lead-light
                  lead={id}
                  label={name}
                  onlead-light-change={({ detail }) => setNews(`${name} is ${detail.status} now.`)}
                />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <p role="status">{news}</p>
    </>
  );
}

createRoot(document.querySelector("#root")!).render(<Leads />);
