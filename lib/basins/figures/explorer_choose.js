// Shows the minima that pass the filters, with their volumes in the basin that was chosen.
// Arguments: minima, volumes, shown, count, filters, landscape, threshold, estimator, sizes, words.

const table = minima.data
const rows = table.own_landscape.length
const [landscapes, thresholds, estimators] = sizes
const chosen = {
  landscape: landscape.value,
  threshold: Number(threshold.value),
  estimator: Number(estimator.value),
}

for (let row = 0; row < rows; row++) {
  const own = chosen.landscape === "own"
  const at = own ? table.own_landscape[row] : Number(chosen.landscape)
  const place = ((row * landscapes + at) * thresholds + chosen.threshold) * estimators +
    chosen.estimator
  for (const name of Object.keys(volumes.data)) {
    if (name !== "volume_status") table[name][row] = at < 0 ? NaN : volumes.data[name][place]
  }
  const status = at < 0 ? 0 : volumes.data.volume_status[place]
  table.volume_status[row] = words[status]
  table.fill[row] = status === 1 ? 0.8 : 0
  table.y[row] = table.log_volume[row] / Math.LN10
  table.low[row] = table.log_volume_low[row] / Math.LN10
  table.high[row] = table.log_volume_high[row] / Math.LN10
}

const passing = []
for (let row = 0; row < rows; row++) {
  // A filter in which nothing is chosen lets everything pass.
  const passes = ([name, filter]) =>
    filter.value.length === 0 || filter.value.includes(String(table[name][row]))
  if (Object.entries(filters).every(passes)) passing.push(row)
}
const is_passing = new Set(passing)
shown.indices = passing
minima.selected.indices = minima.selected.indices.filter((row) => is_passing.has(row))
minima.change.emit()

const drawn = passing.filter((row) => Number.isFinite(table.y[row])).length
count.text = `${passing.length} of ${rows} minima pass the filters; ` +
  `${drawn} of them have a volume in this basin and are points of the plot.`
