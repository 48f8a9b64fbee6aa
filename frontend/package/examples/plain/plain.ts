import "lead-light/auto";
import "../connect";

const news = document.querySelector("#news")!;

document.addEventListener("lead-light-change", ({ detail }) => {
  news.textContent = `${detail.lead} is ${detail.status} now.`;
});
