export { Work } from '../store/work.js'
