// One job as a row of the history.

import { resultUrl } from "../base/api.js";
import { element, icon } from "../base/dom.js";
import { ago, clock, moment, percent, roughly, snippet } from "../base/format.js";
import { t } from "../base/i18n.js";
import { badge } from "../base/widgets.js";

const SNIPPET_CHARACTERS = 300;

/** What is happening with a job that has not ended, or how it ended; one line. */
export function metaOf(job, voiceName, now) {
  const parts = [voiceName(job.voice), job.model];
  if (job.priority && job.priority !== "normal") parts.push(t(`priority.${job.priority}`));
  if (job.status === "queued" && job.queue_position > 1) parts.push(t("job.ahead", { count: job.queue_position - 1 }));
  if (job.status === "queued" && job.waiting_for) parts.push(job.waiting_for);
  if (typeof job.eta_sec === "number") parts.push(t("job.left", { time: roughly(job.eta_sec) }));
  if (job.status === "failed") parts.push(job.error);
  if (job.status === "completed") parts.push(clock(job.duration_sec), job.output_format?.toUpperCase());
  parts.push(ago(job.created_at * 1000, now));
  return parts.filter(Boolean).join(" · ");
}

/**
 * @param {object} job
 * @param {object} shown
 * @param {boolean} shown.playing
 * @param {object} actions each called with the job
 */
export function jobRow(job, { playing, meta }, actions) {
  const text = snippet(job.text ?? "", SNIPPET_CHARACTERS) || t("recent.no-text");
  const short = snippet(text, 60);
  const tool = (name, label, picture, onClick) => element("button", {
    type: "button", class: "icon-button", "data-action": name, "aria-label": `${label}: ${short}`, title: label, onclick: () => onClick(job),
  }, icon(picture));
  const favouriteTool = () => {
    const label = t(job.favourite ? "history.unstar" : "history.star");
    const button = tool("star", label, job.favourite ? "starred" : "star", actions.star);
    button.setAttribute("aria-pressed", String(job.favourite));
    return button;
  };
  const done = job.status === "completed";
  const open = job.status === "queued" || job.status === "running";
  const lead = done
    ? tool("play", t(playing ? "action.pause" : "action.play"), playing ? "pause" : "play", actions.play)
    : element("span", { class: "recent-mark", "data-status": job.status, "aria-hidden": "true" }, ...(job.status === "failed" ? [icon("warning")] : []));
  const tools = [
    ...(done ? [element("a", { class: "icon-button", "data-action": "download", href: resultUrl(job.job_id), download: true, "aria-label": `${t("action.download")}: ${short}`, title: t("action.download") }, icon("download"))] : []),
    ...(open ? [tool("cancel", t("action.cancel"), "remove", actions.cancel)] : []),
    ...(job.status === "failed" ? [tool("retry", t("history.retry"), "reset", actions.retry)] : []),
    ...(done || job.status === "cancelled" ? [tool("rerun", t("history.rerun"), "reset", actions.rerun)] : []),
    tool("edit", t("history.edit"), "edit", actions.edit),
    ...(done ? [favouriteTool()] : []),
    ...(!open ? [tool("delete", t("history.delete"), "trash", actions.remove)] : []),
  ];
  const state = job.status === "running" ? `${t("status.running")} ${percent(job.progress / 100)}` : t(`status.${job.status}`);
  return element("li", { class: "job-row", "data-id": job.job_id, "data-status": job.status },
    lead,
    element("div", { class: "recent-body" },
      element("p", { class: "recent-text", title: text }, text),
      element("p", { class: "recent-meta hint", title: moment(job.created_at * 1000) }, meta)),
    badge(job.status, state),
    element("div", { class: "recent-tools" }, ...tools));
}
