import { compileGrammar, type Grammar, type Rules } from './grammar'

/** A kind of text that the project writes itself: lines of a grammar, `goOn` the chance of another line. */
export interface Domain {
  name: string
  description: string
  grammar: Grammar
  goOn: number
}

const numbers = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => String(from + i))
const twoDigits = (from: number, to: number) => numbers(from, to).map((n) => n.padStart(2, '0'))

/** Weights that fall as 1 / rank: a few words common, many rare, as in real text. */
const zipf = (words: string) =>
  words.split(' ').map((word, i) => [word.replaceAll('_', ' '), 1 / (i + 1)] as const)

const kitchen: Rules = {
  line: [
    ['{verb} {amount} {x=ingredient} and {after} the {x} {manner}.', 4],
    ['Add the {ingredient} to the {vessel} and {heat} for {minutes} minutes.', 3],
    ['When the {x=ingredient} is {state}, stir in {amount} {ingredient}; never let the {x} {mishap}.', 2],
    ['{heatVerb} a little {fat} in the {v=vessel}, then wipe the {v} dry.', 1],
    ['Serve with {ingredient} and a spoonful of {fat}, {serving}.', 1],
  ],
  verb: zipf('Peel Chop Slice Wash Weigh Grate Crush Trim'),
  after: zipf('salt fry blanch roast mash steam marinate'),
  manner: zipf('gently well at_once until_golden with_care in_batches'),
  amount: ['{few} cups of', '{few} spoons of', 'half a bowl of', '{few} handfuls of'],
  few: zipf('two three four five six'),
  ingredient: zipf(
    'onion garlic carrot potato leek tomato celery fennel pumpkin spinach rice barley lentil bean pea mushroom cabbage apple',
  ),
  fat: zipf('butter olive_oil lard cream'),
  vessel: zipf('pan pot bowl dish oven'),
  heat: zipf('simmer boil stew cook'),
  heatVerb: zipf('Melt Warm Heat'),
  minutes: zipf('ten five twenty fifteen thirty'),
  state: zipf('soft brown tender cold thick'),
  mishap: zipf('burn dry_out boil_over stick'),
  serving: zipf('hot warm chilled in_deep_plates'),
}

const logbook: Rules = {
  line: [
    ['{watch} hours. Wind {w=wind} force {force}, sea {sea}. Barometer {pressure}, {trend}.', 4],
    ['{watch} hours. Sighted {thing} bearing {bearing} degrees, distance {miles} miles.', 2],
    ['Course {c=bearing}, speed {miles} knots. Wind backing {wind}; held course {c}.', 2],
    ['{sail} the {cloth}. {crew} to the {station}.', 2],
    ['Position {degrees} degrees north, {degrees} degrees west. {sky}.', 1],
  ],
  watch: ['0000', '0400', '0800', '1200', '1600', '2000'],
  wind: zipf('west northwest southwest north south east northeast southeast'),
  force: [
    ['4', 5],
    ['5', 4],
    ['3', 3],
    ['6', 3],
    ['7', 2],
    ['2', 2],
    ['8', 1],
  ],
  sea: zipf('moderate slight rough calm heavy'),
  pressure: numbers(990, 1029),
  trend: zipf('steady falling rising falling_fast'),
  thing: zipf('a_brig a_lighthouse two_schooners an_iceberg land a_whale'),
  bearing: numbers(0, 35).map((n) => n.padStart(2, '0') + '0'),
  miles: numbers(1, 12),
  sail: zipf('Reefed Furled Set Shortened Mended'),
  cloth: zipf('topsail mainsail jib foresail spanker'),
  crew: zipf('All_hands The_starboard_watch The_carpenter The_mate'),
  station: zipf('pumps rigging boats wheel anchor'),
  degrees: numbers(10, 69),
  sky: zipf('Overcast Clear_sky Fog_banks Squalls_at_dusk'),
}

const server: Rules = {
  line: [
    ['{time} INFO {s=service}[{pid}] GET /{path}/{id} 200 {ms}ms', 6],
    ['{time} INFO {s=service}[{pid}] POST /{path} 201 {ms}ms', 2],
    ['{time} WARN {s=service}[{pid}] retry {few} of 5 for /{p=path}/{id}: {p} {warning}', 2],
    ['{time} ERROR {s=service}[{pid}] {fault} in {s}.{module}:{id}', 1],
  ],
  time: ['{hour}:{minute}:{minute}.{milli}'],
  hour: twoDigits(0, 23),
  minute: twoDigits(0, 59),
  milli: ['{digit}{digit}{digit}'],
  digit: numbers(0, 9),
  service: zipf('gateway auth billing search catalog'),
  pid: ['2{digit}{digit}', '31{digit}{digit}'],
  path: zipf('items users orders carts images sessions'),
  id: ['{digit}', '1{digit}', '{few}{digit}{digit}'],
  few: numbers(2, 4),
  ms: ['{digit}', '1{digit}', '{few}{digit}'],
  warning: zipf('timed_out refused locked throttled'),
  fault: zipf('NullPointer IndexRange Deadlock OutOfMemory'),
  module: zipf('handler parser store cache pool'),
}

const arithmetic: Rules = {
  line: [
    ['{sum}.', 3],
    ['{difference}.', 2],
    ['{product}.', 2],
    ['{n=name} has {small} {t=toy}. {friend} has {small} {t} more than {n}.', 2],
    ['Let {v=variable} be {small}. Then {v} plus {v} is twice {v}.', 1],
  ],
  sum: pairs(1, 30, (a, b) => `${a} + ${b} = ${a + b}`),
  difference: pairs(1, 20, (a, b) => `${a + b} - ${b} = ${a}`),
  product: pairs(2, 12, (a, b) => `${a} * ${b} = ${a * b}`),
  name: zipf('Ada Emmy Carl Leonhard Sofia Srinivasa'),
  friend: zipf('Blaise Maryam Kurt Alan'),
  small: numbers(1, 20),
  toy: zipf('marbles coins apples cards stamps'),
  variable: ['x', 'y', 'z', 'n', 'k'],
}

const lisp: Rules = {
  line: [
    ['(define ({f=function} {a=argument}) {expression})', 2],
    ['(define {c=constant} {literal}) (print {c})', 2],
    ['(let (({a=local} {expression})) (if (> {a} {literal}) {a} {expression}))', 2],
    ['(print (map {function} (list {literal} {literal} {literal})))', 1],
    [';; {comment}', 1],
  ],
  expression: [
    ['({operator} {expression} {atom})', 3],
    ['({function} {atom})', 2],
    ['{atom}', 4],
  ],
  operator: [
    ['+', 4],
    ['*', 3],
    ['-', 2],
    ['/', 1],
    ['mod', 1],
  ],
  atom: ['{argument}', '{literal}'],
  argument: ['a', 'b', 'lst', 'acc'],
  local: ['tmp', 'val', 'res'],
  function: zipf('square fold head tail double reverse count'),
  constant: zipf('limit width depth total seed'),
  literal: [
    ['0', 3],
    ['1', 3],
    ['2', 2],
    ['10', 1],
    ['100', 1],
    ['7', 1],
  ],
  comment: zipf('recurse_on_the_tail base_case todo:_memoise tail_call'),
}

function pairs(from: number, to: number, write: (a: number, b: number) => string): string[] {
  return numbers(from, to).flatMap((a) => numbers(from, to).map((b) => write(Number(a), Number(b))))
}

const domain = (name: string, description: string, rules: Rules): Domain => ({
  name,
  description,
  grammar: compileGrammar(rules),
  goOn: 0.9,
})

export const domains: readonly Domain[] = [
  domain('kitchen', 'recipes, step by step', kitchen),
  domain('logbook', "a ship's log: wind, sea and watches", logbook),
  domain('server', 'log lines of a web service', server),
  domain('arithmetic', 'worked sums and small riddles', arithmetic),
  domain('lisp', 'definitions in a small Lisp', lisp),
]
