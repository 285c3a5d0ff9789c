/**
 * What a transformation is, and the shapes of its parameters.
 * @module
 */

/** From a value (latin1 text) to the next; null is an error, which the template writes as nothing. */
export type Transform = (value: string) => string | null

/** Makes the transform of one use, or says what is wrong with its parameters (as written, undefined if absent). */
export type Transformation = (parameters: string | undefined) => Transform | TransformationFault

/** Why a use makes no sense. */
export interface TransformationFault {
  readonly fault: string
}

/** A transformation without parameters. */
export function bare(transform: Transform): Transformation {
  return (parameters) => (parameters === undefined ? transform : { fault: 'it takes no parameter' })
}

/** A transformation with one text parameter, at least one character. */
export function withText(make: (text: string) => Transform): Transformation {
  return (parameters) => {
    if (parameters === undefined || parameters === '') return { fault: 'it needs a parameter' }
    return holdsVariable(parameters) ? NO_VARIABLE : make(parameters)
  }
}

/** A transformation with one whole number. */
export function withNumber(make: (number: number) => Transform): Transformation {
  return (parameters) => {
    const number = wholeNumber(parameters)
    return number === undefined ? { fault: 'it needs one whole number' } : make(number)
  }
}

/** A parameter as a whole number. */
export function wholeNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^\s*[+-]?\d{1,9}\s*$/.test(text) ? Number(text) : undefined
}

const NO_VARIABLE: TransformationFault = { fault: 'a pseudo-variable as parameter is not supported' }

function holdsVariable(text: string): boolean {
  return text.startsWith('$')
}
