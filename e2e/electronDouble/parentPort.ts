/** Gives a plain Node process the `parentPort` of a utility process. */
const port = {
  postMessage: (message: unknown) => void process.send!(message),
  on: (_event: 'message', listener: (event: { data: unknown }) => void) =>
    void process.on('message', (data) => listener({ data })),
}
Object.assign(process, { parentPort: port })
