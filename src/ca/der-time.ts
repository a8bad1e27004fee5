const DAY_MS = 86_400_000

/** The proleptic Gregorian date in UTC, as `YYYYMMDDHHMMSSZ`. Cuts to whole seconds. */
export function timeDigits(unixMs: number): { readonly year: number; readonly digits: string } {
  const day = Math.floor(unixMs / DAY_MS)
  const second = Math.floor((unixMs - day * DAY_MS) / 1000)
  const { year, month, dayOfMonth } = dateOfDay(day)
  const parts = [month, dayOfMonth, Math.floor(second / 3600), Math.floor(second / 60) % 60, second % 60]
  const rest = parts.map((part) => String(part).padStart(2, '0')).join('')
  return { year, digits: `${String(year).padStart(4, '0')}${rest}Z` }
}

/** Unix ms of a date and time in UTC, or undefined when there is no such date. `month` is 1 to 12. */
export function unixMsOf(
  year: number,
  month: number,
  dayOfMonth: number,
  hour: number,
  minute: number,
  second: number,
): number | undefined {
  const day = dayOfDate(year, month, dayOfMonth)
  const back = dateOfDay(day)
  const exists = back.year === year && back.month === month && back.dayOfMonth === dayOfMonth
  if (!exists || hour > 23 || minute > 59 || second > 59) return undefined
  return day * DAY_MS + ((hour * 60 + minute) * 60 + second) * 1000
}

// Years are counted from March, so that the leap day comes last, in eras of 400 years = 146,097 days.

function dayOfDate(year: number, month: number, dayOfMonth: number): number {
  const shifted = month <= 2 ? year - 1 : year
  const era = Math.floor(shifted / 400)
  const yearOfEra = shifted - era * 400
  const dayOfYear = Math.floor((153 * ((month + 9) % 12) + 2) / 5) + dayOfMonth - 1
  return (
    era * 146_097 +
    yearOfEra * 365 +
    Math.floor(yearOfEra / 4) -
    Math.floor(yearOfEra / 100) +
    dayOfYear -
    719_468
  )
}

function dateOfDay(day: number): { year: number; month: number; dayOfMonth: number } {
  const shifted = day + 719_468
  const era = Math.floor(shifted / 146_097)
  const dayOfEra = shifted - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153)
  const dayOfMonth = dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
  return { year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfMonth }
}
