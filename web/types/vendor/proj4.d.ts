export { default } from "proj4";
