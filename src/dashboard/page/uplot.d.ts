import uPlot from 'uplot'

// What the server serves beside the page: the ES module of the package.
export default uPlot
