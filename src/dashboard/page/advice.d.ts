// Copied beside the page by the build: it imports nothing.
export * from '../../advice.ts'
