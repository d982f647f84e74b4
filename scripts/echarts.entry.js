// What the desk's charts need of ECharts, as one file: window.echarts. Drawn as SVG, which prints well and needs no canvas.
import { BarChart, FunnelChart, HeatmapChart, LineChart, PieChart } from "echarts/charts";
import {
  AriaComponent, CalendarComponent, DataZoomComponent, GridComponent, LegendComponent, MarkLineComponent, TitleComponent,
  TooltipComponent, VisualMapComponent,
} from "echarts/components";
import * as core from "echarts/core";
import { LabelLayout } from "echarts/features";
import { SVGRenderer } from "echarts/renderers";

core.use([
  BarChart, FunnelChart, HeatmapChart, LineChart, PieChart, AriaComponent, CalendarComponent, DataZoomComponent,
  GridComponent, LegendComponent, MarkLineComponent, TitleComponent, TooltipComponent, VisualMapComponent, LabelLayout,
  SVGRenderer,
]);

window.echarts = core;
