// Draws each chart from the table that stands behind it, so that picture and numbers can't differ. Without scripts, and
// in print, there is the table.
(() => {
  "use strict";

  const narrow = window.matchMedia("(max-width: 600px)");

  function read(table) {
    const heads = [...table.tHead.rows[0].cells].slice(1);
    const rows = [...table.tBodies[0].rows];
    return {
      steps: rows.map((row) => row.cells[0].textContent.trim()),
      lines: heads.map((head, place) => ({
        name: head.textContent.trim(),
        colour: head.dataset.colour || "",
        values: rows.map((row) => Number(row.cells[place + 1].dataset.value)),
      })),
    };
  }

  function paint(figure, name, place) {
    const style = getComputedStyle(figure);
    const key = name ? `--figure-${name.replace("_", "-")}` : `--figure-line-${(place % 6) + 1}`;
    return style.getPropertyValue(key).trim() || "#888";
  }

  const count = (value) => value.toLocaleString("en");

  function options(figure, data) {
    const style = getComputedStyle(figure);
    const ink = style.getPropertyValue("--figure-ink").trim() || "#333";
    const rule = style.getPropertyValue("--figure-rule").trim() || "#ccc";
    const lines = figure.dataset.chart === "lines";
    const shown = data.lines.filter((line) => line.values.some((value) => value > 0));
    const words = shown.map((line) => `${line.name}: ${count(line.values.at(-1))}`).join(", ");
    return {
      animation: false,
      textStyle: { fontFamily: style.fontFamily, color: ink },
      aria: {
        enabled: true,
        label: { enabled: true, description: `${figure.querySelector("figcaption").textContent}. ${words}. The numbers are in the table below.` },
      },
      color: data.lines.map((line, place) => paint(figure, line.colour, place)),
      grid: { left: 8, right: lines ? (narrow.matches ? 16 : 170) : 16, top: narrow.matches || !lines ? 64 : 16, bottom: 8, containLabel: true },
      legend: lines && !narrow.matches ? undefined : { top: 0, left: 0, textStyle: { color: ink, fontFamily: style.fontFamily }, itemGap: 16, itemWidth: 12, itemHeight: 12 },
      tooltip: { trigger: "axis", renderMode: "richText", valueFormatter: count },
      xAxis: { type: "category", data: data.steps, axisLabel: { color: ink, hideOverlap: true, alignMaxLabel: "right" }, axisLine: { lineStyle: { color: rule } } },
      yAxis: { type: "value", min: 0, minInterval: 1, axisLabel: { color: ink, formatter: count }, splitLine: { lineStyle: { color: rule } } },
      series: data.lines.map((line) => ({
        name: line.name,
        type: lines ? "line" : "bar",
        stack: lines ? undefined : "all",
        barCategoryGap: "15%",
        symbol: "none",
        lineStyle: { width: 2.5 },
        endLabel: lines && !narrow.matches ? { show: true, formatter: "{a}", color: ink, width: 150, overflow: "truncate" } : undefined,
        labelLayout: lines ? { moveOverlap: "shiftY" } : undefined,
        data: line.values,
      })),
    };
  }

  function draw(figure) {
    const area = figure.querySelector(".chart-area");
    const table = figure.querySelector("table");
    if (!area || !table || !window.echarts) return;
    area.hidden = false;
    const data = read(table);
    const chart = window.echarts.init(area, null, { renderer: "svg" });
    const show = () => chart.setOption(options(figure, data), true);
    show();
    figure.querySelector(".chart-table").open = false;
    new ResizeObserver(() => chart.resize()).observe(area);
    narrow.addEventListener("change", show);
    const dark = new MutationObserver(show);
    dark.observe(document.documentElement, { attributes: true, attributeFilter: ["data-bs-theme"] });
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
    window.addEventListener("beforeprint", () => { figure.querySelector(".chart-table").open = true; });
  }

  document.querySelectorAll("figure[data-chart]").forEach(draw);
})();
