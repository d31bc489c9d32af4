import { setImmediate as turn } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { Slots } from './slots'

function withResolvers() {
  let resolve = () => {}
  const promise = new Promise<void>((done) => (resolve = done))
  return { promise, resolve }
}

it('does no more at once than it has room for, in the order of asking, and all of it', async () => {
  const slots = new Slots(3)
  const [order, waited]: [number[], number[]] = [[], []]
  let [atWork, most] = [0, 0]
  const works = Array.from({ length: 40 }, (_, i) =>
    slots.hold(
      new AbortController().signal,
      () => waited.push(i),
      async () => {
        order.push(i)
        most = Math.max(most, ++atWork)
        await turn()
        atWork--
        if (i % 7 === 0) throw new Error(`no ${i}`)
        return i
      },
    ),
  )
  const ends = await Promise.allSettled(works)
  expect(most).toBe(3)
  expect(order).toEqual(Array.from({ length: 40 }, (_, i) => i))
  expect(waited).toEqual(order.slice(3))
  expect(ends.filter(({ status }) => status === 'rejected')).toHaveLength(6)
})

it('lets go of what is stopped while it waits, and gives its place to nobody twice', async () => {
  const slots = new Slots(1)
  const { promise, resolve } = withResolvers()
  const first = slots.hold(
    new AbortController().signal,
    () => {},
    () => promise,
  )
  const stop = new AbortController()
  const began: string[] = []
  const second = slots.hold(
    stop.signal,
    () => {},
    async () => void began.push('second'),
  )
  const third = slots.hold(
    new AbortController().signal,
    () => {},
    async () => void began.push('third'),
  )
  stop.abort()
  await expect(second).rejects.toThrow('stopped')
  resolve()
  await Promise.all([first, third])
  expect(began).toEqual(['third'])
  await expect(
    slots.hold(
      stop.signal,
      () => {},
      async () => {},
    ),
  ).rejects.toThrow('stopped')
})
